/** One job while `run-jobs.ts` runs it: how far it is, how long its stages took, and that it ends exactly once. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { batchKey } from '../job/batch-key.ts';
import type { RawImage } from '../job/raw-image.ts';
import type { PipelineDurations, PipelineStage } from '../job/stages.ts';
import type { PassPlan, PipelineJob, Prepared } from './contract.ts';

interface JobProgress {
  readonly stage: PipelineStage;
  /** Of all the job's images together, as the user counts steps: a scheduler may need more passes. */
  readonly step: number;
  readonly steps: number;
  /** Of all the job's images together, calls of the denoising network. */
  readonly pass: number;
  readonly passes: number;
}

export interface JobImage {
  readonly imageIndex: number;
  readonly seed: number;
  readonly image: RawImage;
}

/** Where results go. Every job ends with exactly one `onDone` or `onFailed`. */
export interface JobObserver {
  onProgress(jobId: string, progress: JobProgress): void;
  onImage(jobId: string, image: JobImage): void;
  onDone(jobId: string, warnings: readonly string[], durationsMs: PipelineDurations): void;
  onFailed(jobId: string, error: Text2ImgError): void;
  /** Asked after each pass. True counts as made. */
  isPreviewDue?(jobId: string): boolean;
  onPreview?(jobId: string, image: RawImage): void;
}

export interface RunJob extends PipelineJob {
  /** Cancels the job. It takes effect at the next pass, or earlier where the runtime can stop a run. */
  readonly signal: AbortSignal;
}

interface ActiveJobOptions {
  readonly observer: JobObserver;
  readonly plan: Required<PassPlan>;
  readonly prepared: Prepared<unknown>;
  readonly encodeMs: number;
}

export class ActiveJob {
  readonly job: RunJob;
  readonly prepared: Prepared<unknown>;
  /** Of one image. */
  readonly passes: number;
  /** Jobs share passes where it is equal. */
  readonly batchKey: string;
  readonly #steps: number;
  readonly #observer: JobObserver;
  readonly #durationsMs: Record<PipelineStage, number>;
  /** Of all its images, those that are begun again included. */
  #passesDone = 0;
  #imagesTotal: number;
  #imagesLeft: number;
  #ended = false;

  constructor(job: RunJob, { observer, plan, prepared, encodeMs }: ActiveJobOptions) {
    this.job = job;
    this.prepared = prepared;
    this.passes = plan.passes;
    this.#steps = plan.steps;
    // All who share passes have as many: an image that a job begins with makes them fewer.
    this.batchKey = JSON.stringify([batchKey(job.request), prepared.batchKey, plan.passes]);
    this.#observer = observer;
    this.#durationsMs = { encode: encodeMs, denoise: 0, decode: 0 };
    this.#imagesTotal = this.#imagesLeft = job.request.numImages;
  }

  /** It has its result, or failed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether there is more to do; fails a job that was cancelled. */
  isWanted(): boolean {
    if (this.job.signal.aborted) this.fail(undefined);
    return !this.#ended;
  }

  addMs(stage: PipelineStage, ms: number): void {
    this.#durationsMs[stage] += ms;
  }

  /** One of its images has one pass more. */
  countPass(): void {
    this.#passesDone++;
    this.tell('denoise');
  }

  /** One of its images begins anew, after passes that count all the same. */
  countAgain(): void {
    this.#imagesTotal++;
  }

  tell(stage: PipelineStage): void {
    const step = Math.floor((this.#passesDone * this.#steps) / Math.max(this.passes, 1));
    this.#observer.onProgress(this.job.jobId, {
      stage,
      step,
      steps: this.#imagesTotal * this.#steps,
      pass: this.#passesDone,
      passes: this.#imagesTotal * this.passes,
    });
  }

  /** The last image ends the job. */
  give(imageIndex: number, image: RawImage): void {
    const { jobId, request } = this.job;
    this.#observer.onImage(jobId, { imageIndex, seed: request.seed + imageIndex, image });
    this.#imagesLeft--;
    if (this.#imagesLeft > 0 || this.#ended) return;
    this.#ended = true;
    this.#observer.onDone(jobId, this.prepared.warnings, this.#durationsMs);
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#observer.onFailed(this.job.jobId, reasonOf(error, this.job.signal));
  }
}

/** The reason of a failure; for a cancelled job it is always the cancel. */
export function reasonOf(error: unknown, signal: AbortSignal): Text2ImgError {
  return signal.aborted ? new Text2ImgError('cancelled', 'the job was cancelled.') : Text2ImgError.from(error);
}
