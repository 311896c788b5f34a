/** Decides every value of a request: the document's, else the operator's default, else the model's, as diffusers would. */
import { createHash } from 'node:crypto';
import type { ModelFacts } from './model-facts.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { GenerationRequest, ResolvedGenerationRequest } from './generation-request.ts';
import type { PromptLimits } from './limits.ts';
import { checkPixels } from './prompt-document.ts';

/** The operator's defaults for documents that omit a value. */
export type GenerationDefaults = Omit<GenerationRequest, 'prompt' | 'seed'>;

export interface ResolveOptions {
  readonly defaults: GenerationDefaults;
  readonly model: ModelFacts;
  readonly limits: PromptLimits;
  /** For a request without one. */
  readonly seed: number;
}

/** diffusers' default. */
const DEFAULT_STEPS = 50;

/** @throws `invalid_parameter` when defaults and request together are too much, `unsupported_config` when the model's own size is */
export function resolveRequest(
  request: GenerationRequest,
  { defaults, model, limits, seed: derivedSeed }: ResolveOptions,
): ResolvedGenerationRequest {
  const resolved: ResolvedGenerationRequest = {
    prompt: request.prompt,
    negativePrompt: request.negativePrompt ?? defaults.negativePrompt ?? '',
    seed: request.seed ?? derivedSeed,
    numInferenceSteps: request.numInferenceSteps ?? defaults.numInferenceSteps ?? DEFAULT_STEPS,
    guidanceScale: request.guidanceScale ?? defaults.guidanceScale ?? model.defaultGuidanceScale,
    widthPx: request.widthPx ?? defaults.widthPx ?? model.defaultWidthPx,
    heightPx: request.heightPx ?? defaults.heightPx ?? model.defaultHeightPx,
    numImages: request.numImages ?? defaults.numImages ?? 1,
    scheduler: request.scheduler ?? defaults.scheduler ?? model.defaultScheduler,
  };
  const size = [request.widthPx, request.heightPx, defaults.widthPx, defaults.heightPx];
  if (size.every((side) => side === undefined)) checkModelsSize(model, limits);
  checkPixels(resolved.widthPx, resolved.heightPx, limits);
  if (!Number.isSafeInteger(resolved.seed + resolved.numImages - 1)) {
    const allowed = Number.MAX_SAFE_INTEGER - resolved.numImages + 1;
    throw new Text2ImgError(
      'invalid_parameter',
      `"seed" is ${resolved.seed}; with ${resolved.numImages} images allowed are whole numbers from 0 to ${allowed}.`,
    );
  }
  return resolved;
}

/** Nobody asked for a size, so that it is not the request which is at fault. @throws `unsupported_config` */
function checkModelsSize(
  { defaultWidthPx: width, defaultHeightPx: height }: ModelFacts,
  { maxPixels }: PromptLimits,
): void {
  if (width * height <= maxPixels) return;
  throw new Text2ImgError(
    'unsupported_config',
    `the model’s own size is ${width}×${height} pixels ("sample_size" in its unet/config.json), which is more than the ${maxPixels} allowed; ` +
      'ask for a width and a height, or raise --max-pixels.',
  );
}

/** The seed of a run whose document states none: every attempt of the run draws the same picture. Below 2^32. */
export function seedOfRun(runId: string): number {
  return createHash('sha256').update(runId).digest().readUInt32BE(0);
}
