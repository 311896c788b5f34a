/**
 * The options that bound and complete a request, in the shapes that `job/` asks for.
 */
import type { Config } from '../config/options.ts';
import type { PromptLimits } from '../job/limits.ts';
import type { GenerationDefaults } from '../job/generation-request.ts';

export function limitsOf({ maxSteps, maxPixels, maxImages, maxPromptBytes }: Config): PromptLimits {
  return { maxSteps, maxPixels, maxImages, maxPromptBytes };
}

/** What `run` takes for documents that leave a value out. */
export function defaultsOf(config: Config): GenerationDefaults {
  const values = {
    negativePrompt: config.negativePrompt,
    numInferenceSteps: config.numInferenceSteps,
    guidanceScale: config.guidanceScale,
    widthPx: config.width,
    heightPx: config.height,
    numImages: config.numImages,
    scheduler: config.scheduler,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
