/**
 * The contract of a loaded pipeline: a family's arithmetic. `run-jobs.ts` calls it and owns batches, cancel, progress, durations, previews and the
 * failure of one job. `S` is one image on its way. Only the family knows what is in it: latents, tokens, a scheduler, or none of them.
 */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { RawImage } from '../job/raw-image.ts';

export interface PipelineJob {
  readonly jobId: string;
  readonly request: ResolvedGenerationRequest;
  /** The images that the request begins with. */
  readonly images: readonly RawImage[];
}

/** How much there is to do for one image. */
export interface PassPlan {
  /** Calls of `step`. */
  readonly passes: number;
  /** The number of steps that the user asked for, for the progress: a scheduler may need more passes. Absent: as many. */
  readonly steps?: number;
}

/** A job whose prompts and images are encoded. */
export interface Prepared<S> {
  /**
   * Jobs share a pass if the table of request fields allows it and their keys are equal. The key holds facts that only the family knows, such as the
   * number of tokens.
   */
  readonly batchKey: string;
  /** Sentences for the user, read when the job ends: the family may add to them until then. */
  readonly warnings: readonly string[];
  /** @param imageIndex from 0; the image's seed is the request's seed plus this */
  begin(imageIndex: number): S;
  /**
   * The image anew from its first pass, in a way that avoids the fault, after `Pipeline.fault` found one.
   * @returns undefined where there is no such way
   */
  beginAgain?(imageIndex: number, faulty: S): Promise<S | undefined>;
}

/**
 * Makes the image of numbers that the networks have given. It may run while the networks decode another image.
 * @throws `invalid_image`, `inference_failed`, `engine_out_of_memory`, `cancelled`
 */
export type FinishImage = () => Promise<RawImage>;

/**
 * The engine closes the networks that it opened for the family. Disposing a pipeline frees what the family itself made, such as tensors on a device.
 * Each `signal` aborts when no job of the batch wants the result any more.
 */
export interface Pipeline<S = unknown> extends AsyncDisposable {
  /** Before anything is computed. @throws `invalid_parameter`, `unknown_scheduler`, `out_of_memory` */
  check(job: PipelineJob): PassPlan;
  /** Once per job. @throws `invalid_image`, `inference_failed`, `engine_out_of_memory`, `cancelled` */
  prepare(job: PipelineJob, signal: AbortSignal): Promise<Prepared<S>>;
  /**
   * One pass of the denoising network for all states, which it changes in place. They have equal batch keys.
   * @param pass from 0 @throws `inference_failed`, `engine_out_of_memory`, `cancelled`
   */
  step(states: readonly S[], pass: number, signal: AbortSignal): Promise<void>;
  /** No pass of these states follows, also after an error. Frees tensors on a device that their passes shared. */
  endPasses?(states: readonly S[]): void;
  /** Why this state cannot become an image after `pass`, for example because its numbers are not finite. It fails alone. */
  fault?(state: S, pass: number): Text2ImgError | undefined;
  /** The unfinished image, small and cheap. */
  preview?(state: S): Promise<RawImage>;
  /**
   * @returns the image, or what makes it when the networks have done their part
   * @throws `invalid_image`, `inference_failed`, `engine_out_of_memory`, `cancelled`
   */
  decode(state: S, signal: AbortSignal): Promise<RawImage | FinishImage>;
}
