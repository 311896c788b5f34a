/** Warnings for a request that is generated as it stands, although the user perhaps meant something else. */
import { type FewStepsFacts, fewStepsWarning } from './few-steps-warning.ts';
import { unreadFieldsWarning } from './foreign-fields.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';
import { promptSyntaxWarning } from './prompt-syntax.ts';

interface RequestFacts extends FewStepsFacts {
  /** Of the document, where there is one. */
  readonly fieldNames?: readonly string[];
}

/** @returns a sentence for each, for `job.warnings` and the log */
export function requestWarnings(
  request: ResolvedGenerationRequest,
  { fieldNames = [], ...facts }: RequestFacts,
): readonly string[] {
  const { prompt, negativePrompt, prompt2, negativePrompt2 } = request;
  const texts = [prompt, negativePrompt, prompt2, negativePrompt2].filter((text) => text !== null);
  const found = [promptSyntaxWarning(texts), unreadFieldsWarning(fieldNames), fewStepsWarning(request, facts)];
  return found.filter((warning) => warning !== undefined);
}
