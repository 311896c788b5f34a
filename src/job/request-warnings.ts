/** Warnings for a request that is generated as it stands, although the user perhaps meant something else. */
import { unreadFieldsWarning } from './foreign-fields.ts';
import type { ResolvedGenerationRequest } from './generation-request.ts';
import { promptSyntaxWarning } from './prompt-syntax.ts';

/** @param fieldNames of the document, where there is one. @returns a sentence for each, for `job.warnings` and the log */
export function requestWarnings(
  request: ResolvedGenerationRequest,
  fieldNames: readonly string[] = [],
): readonly string[] {
  const { prompt, negativePrompt, prompt2, negativePrompt2 } = request;
  const texts = [prompt, negativePrompt, prompt2, negativePrompt2].filter((text) => text !== null);
  return [promptSyntaxWarning(texts), unreadFieldsWarning(fieldNames)].filter((warning) => warning !== undefined);
}
