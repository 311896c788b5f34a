/** The operator's limits on what one prompt may ask for, out of the options. */
import type { Config } from '../config/schema.ts';
import type { PromptLimits } from '../job/limits.ts';

export function limitsOf({ maxSteps, maxPixels, maxImages, maxPromptBytes }: Config): PromptLimits {
  return { maxSteps, maxPixels, maxImages, maxPromptBytes };
}
