/**
 * The options that bound and complete a request, in the shapes that `job/` asks for.
 */
import type { Config } from '../config/options.ts';
import { requestValues } from '../config/options/request-options.ts';
import type { GenerationDefaults } from '../job/generation-request.ts';
import type { PromptLimits } from '../job/limits.ts';
import { REQUEST_FIELDS } from '../job/request-fields.ts';

export function limitsOf({ maxSteps, maxPixels, maxImages, maxPromptBytes }: Config): PromptLimits {
  return { maxSteps, maxPixels, maxImages, maxPromptBytes };
}

/** The values that `run` takes for documents that leave them out. It has no flags for values that belong to one job. */
export function defaultsOf(config: Config): GenerationDefaults {
  return requestValues(REQUEST_FIELDS, config);
}
