/**
 * What is asked of the model for one prompt: the codec's result, the engine's input.
 * Names and defaults are those of diffusers' `StableDiffusionPipeline.__call__`.
 */

/** A request as far as the user stated it; what is absent takes the operator's default, then the model's. */
export interface GenerationRequest {
  /** May be empty. */
  readonly prompt: string;
  readonly negativePrompt?: string;
  /** 0 … 2^53 − 1; image k is drawn with `seed + k`. */
  readonly seed?: number;
  readonly numInferenceSteps?: number;
  /** 0 and 1 are legal; guidance is on only above 1. */
  readonly guidanceScale?: number;
  readonly widthPx?: number;
  readonly heightPx?: number;
  readonly numImages?: number;
  /** A scheduler's class name in diffusers, already resolved from its short name. */
  readonly scheduler?: string;
}

/** A request with every value decided; the same resolved request gives the same pixels. */
export interface ResolvedGenerationRequest {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly numImages: number;
  readonly scheduler: string;
}
