/**
 * Runs jobs through any pipeline: batches, cancel, progress, durations, previews, and the failure of one job, which touches no other. It sees a
 * family's state as an opaque value.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { batchKey } from '../job/batch-key.ts';
import type { RawImage } from '../job/raw-image.ts';
import type { PipelineDurations, PipelineStage } from '../job/stages.ts';
import { BatchSignal } from './batch-signal.ts';
import type { PassPlan, Pipeline, PipelineJob, Prepared } from './contract.ts';

interface JobProgress {
  readonly stage: PipelineStage;
  /** Of all the job's images together, as the user counts steps: a scheduler may need more passes. */
  readonly step: number;
  readonly steps: number;
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

export interface RunJobsOptions {
  readonly observer: JobObserver;
  /** How many images may share a pass. */
  readonly maxBatchImages: number;
  /** Lets messages in between two passes; a network may block the thread while it runs. */
  readonly yieldToEventLoop: () => Promise<void>;
}

/** A job on its way. */
interface ActiveJob {
  readonly job: RunJob;
  readonly prepared: Prepared<unknown>;
  readonly batchKey: string;
  /** Of one image. */
  readonly plan: Required<PassPlan>;
  readonly durationsMs: Record<PipelineStage, number>;
  /** Of all its images, those that are begun again included. */
  passesDone: number;
  imagesTotal: number;
  imagesLeft: number;
  ended: boolean;
}

interface PlannedImage {
  readonly active: ActiveJob;
  readonly imageIndex: number;
}

interface RunningImage extends PlannedImage {
  readonly state: unknown;
}

/** Ends all jobs; never throws for a fault of one of them, which goes to its `onFailed`. */
export async function runJobs(pipeline: Pipeline, jobs: readonly RunJob[], options: RunJobsOptions): Promise<void> {
  await new JobsRun(pipeline, options).run(jobs);
}

class JobsRun {
  readonly #pipeline: Pipeline;
  readonly #options: RunJobsOptions;

  constructor(pipeline: Pipeline, options: RunJobsOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
  }

  async run(jobs: readonly RunJob[]): Promise<void> {
    const images: PlannedImage[] = [];
    for (const job of jobs) {
      const active = await this.#prepare(job);
      if (active === undefined) continue;
      for (let imageIndex = 0; imageIndex < job.request.numImages; imageIndex++) images.push({ active, imageIndex });
    }
    for (const batch of batchesOf(images, this.#options.maxBatchImages)) {
      const wanted = batch.filter(({ active }) => !active.ended);
      using signal = new BatchSignal(wanted.map(({ active }) => active));
      try {
        const running = wanted.map((image) => ({ ...image, state: image.active.prepared.begin(image.imageIndex) }));
        await this.#runBatch(running, signal.signal);
      } catch (error) {
        // What fails in a shared pass fails for all who share it.
        for (const { active } of wanted) this.#fail(active, error);
      }
    }
  }

  /** Checks and encodes; a job that fails here touches no other. */
  async #prepare(job: RunJob): Promise<ActiveJob | undefined> {
    const { observer, yieldToEventLoop } = this.#options;
    const { jobId, request, signal } = job;
    const startMs = performance.now();
    try {
      signal.throwIfAborted();
      const { passes, steps = passes } = this.#pipeline.check(job);
      const plan = { passes, steps };
      observer.onProgress(jobId, { stage: 'encode', step: 0, steps: steps * request.numImages });
      const prepared = await this.#pipeline.prepare(job, signal);
      await yieldToEventLoop();
      return {
        job,
        prepared,
        // All who share passes have as many: an image that a job begins with makes them fewer.
        batchKey: JSON.stringify([batchKey(request), prepared.batchKey, passes]),
        plan,
        durationsMs: { encode: performance.now() - startMs, denoise: 0, decode: 0 },
        passesDone: 0,
        imagesTotal: request.numImages,
        imagesLeft: request.numImages,
        ended: false,
      };
    } catch (error) {
      observer.onFailed(jobId, reasonOf(error, signal));
      return undefined;
    }
  }

  async #runBatch(images: readonly RunningImage[], signal: AbortSignal): Promise<void> {
    const { yieldToEventLoop } = this.#options;
    const passes = images[0]?.active.plan.passes ?? 0;
    let alive = images;
    for (let pass = 0; pass < passes; pass++) {
      alive = alive.filter(({ active }) => this.#isWanted(active));
      if (alive.length === 0) return;
      await this.#pass(alive, pass, signal);
      alive = await this.#withoutFaulty(alive, pass, signal);
      await yieldToEventLoop();
    }
    for (const image of alive) {
      if (!this.#isWanted(image.active)) continue;
      await this.#decode(image, signal);
      await yieldToEventLoop();
    }
  }

  async #pass(images: readonly RunningImage[], pass: number, signal: AbortSignal): Promise<void> {
    const { observer } = this.#options;
    const startMs = performance.now();
    await this.#pipeline.step(
      images.map(({ state }) => state),
      pass,
      signal,
    );
    const passMs = performance.now() - startMs;
    for (const active of new Set(images.map((image) => image.active))) active.durationsMs.denoise += passMs;
    for (const { active } of images) {
      active.passesDone++;
      observer.onProgress(active.job.jobId, { stage: 'denoise', ...stepsOf(active) });
    }
    for (const image of images) await this.#preview(image);
  }

  async #preview({ active, state }: RunningImage): Promise<void> {
    const { observer } = this.#options;
    const { jobId } = active.job;
    if (this.#pipeline.preview === undefined || observer.isPreviewDue?.(jobId) !== true) return;
    let preview: RawImage;
    try {
      preview = await this.#pipeline.preview(state);
    } catch {
      // A preview that cannot be made must not cost the image.
      return;
    }
    observer.onPreview?.(jobId, preview);
  }

  /** Each faulty image runs again or fails, and touches none of the others. */
  async #withoutFaulty(
    images: readonly RunningImage[],
    pass: number,
    signal: AbortSignal,
  ): Promise<readonly RunningImage[]> {
    const good: RunningImage[] = [];
    for (const image of images) {
      const fault = this.#pipeline.fault?.(image.state, pass);
      if (fault === undefined) good.push(image);
      else await this.#runAgain(image, fault, signal);
    }
    return good;
  }

  async #runAgain(
    { active, imageIndex, state }: RunningImage,
    fault: Text2ImgError,
    signal: AbortSignal,
  ): Promise<void> {
    const again = await active.prepared.beginAgain?.(imageIndex, state);
    if (again === undefined) return this.#fail(active, fault);
    active.imagesTotal++;
    await this.#runBatch([{ active, imageIndex, state: again }], signal);
  }

  /** An image that is none fails its job, and no other of the batch. */
  async #decode({ active, imageIndex, state }: RunningImage, signal: AbortSignal): Promise<void> {
    const { observer } = this.#options;
    const { jobId, request } = active.job;
    observer.onProgress(jobId, { stage: 'decode', ...stepsOf(active) });
    const startMs = performance.now();
    const image = await this.#pipeline.decode(state, signal).catch((error: unknown) => {
      if (error instanceof Text2ImgError && error.code === 'invalid_image') return error;
      throw error;
    });
    active.durationsMs.decode += performance.now() - startMs;
    if (image instanceof Text2ImgError) return this.#fail(active, image);
    observer.onImage(jobId, { imageIndex, seed: request.seed + imageIndex, image });
    active.imagesLeft--;
    if (active.imagesLeft > 0 || active.ended) return;
    active.ended = true;
    observer.onDone(jobId, active.prepared.warnings, active.durationsMs);
  }

  #isWanted(active: ActiveJob): boolean {
    if (active.job.signal.aborted) this.#fail(active, undefined);
    return !active.ended;
  }

  #fail(active: ActiveJob, error: unknown): void {
    if (active.ended) return;
    active.ended = true;
    this.#options.observer.onFailed(active.job.jobId, reasonOf(error, active.job.signal));
  }
}

function stepsOf({ passesDone, imagesTotal, plan }: ActiveJob): Pick<JobProgress, 'step' | 'steps'> {
  return { step: Math.floor((passesDone * plan.steps) / Math.max(plan.passes, 1)), steps: imagesTotal * plan.steps };
}

function reasonOf(error: unknown, signal: AbortSignal): Text2ImgError {
  return signal.aborted ? new Text2ImgError('cancelled', 'the job was cancelled.') : Text2ImgError.from(error);
}

/** Neighbours that can share a pass. */
function batchesOf(images: readonly PlannedImage[], maxImages: number): PlannedImage[][] {
  const batches: PlannedImage[][] = [];
  for (const image of images) {
    const last = batches.at(-1);
    const canJoin = last !== undefined && last.length < maxImages && last[0]?.active.batchKey === image.active.batchKey;
    if (canJoin) last.push(image);
    else batches.push([image]);
  }
  return batches;
}
