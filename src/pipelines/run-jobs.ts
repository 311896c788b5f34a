/**
 * Runs jobs through any pipeline: batches, cancel, progress, durations, previews, and the failure of one job, which touches no other. It sees a
 * family's state as an opaque value.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { RawImage } from '../job/raw-image.ts';
import { ActiveJob, type JobObserver, reasonOf, type RunJob } from './active-job.ts';
import { BatchSignal } from './batch-signal.ts';
import type { FinishImage, Pipeline } from './contract.ts';
import { isOutOfMemory, withoutMemory } from './without-memory.ts';

export interface RunJobsOptions {
  readonly observer: JobObserver;
  /** How many images may share a pass. */
  readonly maxBatchImages: number;
  /** Lets messages in between two passes; a network may block the thread while it runs. */
  readonly yieldToEventLoop: () => Promise<void>;
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

/** `Text2ImgError`: it is no image. */
type Decoded = RawImage | FinishImage | Text2ImgError;

interface Decoding {
  readonly image: RunningImage;
  readonly result: Promise<Decoded>;
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
        // A failure in a shared pass fails all jobs that share it.
        for (const { active } of wanted) active.fail(error);
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
      const [allSteps, allPasses] = [steps * request.numImages, passes * request.numImages];
      observer.onProgress(jobId, { stage: 'encode', step: 0, steps: allSteps, pass: 0, passes: allPasses });
      const prepared = await this.#pipeline.prepare(job, signal);
      await yieldToEventLoop();
      const encodeMs = performance.now() - startMs;
      return new ActiveJob(job, { observer, plan: { passes, steps }, prepared, encodeMs });
    } catch (error) {
      observer.onFailed(jobId, reasonOf(error, signal));
      return undefined;
    }
  }

  async #runBatch(images: readonly RunningImage[], signal: AbortSignal): Promise<void> {
    await this.#decodeAll(await this.#denoise(images, signal), signal);
    await this.#options.yieldToEventLoop();
  }

  /** The networks decode an image while the one before it is finished. So at most two of them are in memory. */
  async #decodeAll(images: readonly RunningImage[], signal: AbortSignal): Promise<void> {
    const { yieldToEventLoop } = this.#options;
    const waiting = [...images];
    let decoding = this.#decodeNext(waiting, signal);
    try {
      while (decoding !== undefined) {
        const { image, result } = decoding;
        const decoded = await result;
        // A cancel may have come.
        await yieldToEventLoop();
        decoding = this.#decodeNext(waiting, signal);
        // The run begins before the thread is busy.
        await yieldToEventLoop();
        await this.#finish(image, decoded);
      }
    } finally {
      await decoding?.result.catch(() => undefined);
    }
  }

  /** @returns those that are wanted, and are images as far as the family knows */
  async #denoise(images: readonly RunningImage[], signal: AbortSignal): Promise<readonly RunningImage[]> {
    const passes = images[0]?.active.passes ?? 0;
    let alive = images;
    try {
      for (let pass = 0; pass < passes; pass++) {
        alive = alive.filter(({ active }) => active.isWanted());
        if (alive.length === 0) break;
        await this.#pass(alive, pass, signal);
        alive = await this.#withoutFaulty(alive, pass, signal);
        await this.#options.yieldToEventLoop();
      }
      return alive;
    } finally {
      this.#pipeline.endPasses?.(images.map(({ state }) => state));
    }
  }

  async #pass(images: readonly RunningImage[], pass: number, signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    await this.#pipeline.step(
      images.map(({ state }) => state),
      pass,
      signal,
    );
    const passMs = performance.now() - startMs;
    for (const active of new Set(images.map((image) => image.active))) active.addMs('denoise', passMs);
    for (const { active } of images) active.countPass();
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
    try {
      const again = await active.prepared.beginAgain?.(imageIndex, state);
      if (again === undefined) return active.fail(fault);
      active.countAgain();
      await this.#runBatch([{ active, imageIndex, state: again }], signal);
    } catch (error) {
      // The others of the batch fit, and this image would meet the same at its next attempt.
      if (!isOutOfMemory(error)) throw error;
      active.fail(withoutMemory(fault));
    }
  }

  /** @param waiting loses the image that is begun, and those before it, which nobody wants */
  #decodeNext(waiting: RunningImage[], signal: AbortSignal): Decoding | undefined {
    for (let image = waiting.shift(); image !== undefined; image = waiting.shift()) {
      const { active, state } = image;
      if (!active.isWanted()) continue;
      active.tell('decode');
      const result = measured(active, () => this.#pipeline.decode(state, signal));
      // It is waited for later.
      result.catch(() => undefined);
      return { image, result };
    }
    return undefined;
  }

  /** An image that is none fails its job, and no other of the batch. */
  async #finish({ active, imageIndex }: RunningImage, decoded: Decoded): Promise<void> {
    // Another image of its job failed meanwhile.
    if (active.ended) return;
    const image = typeof decoded === 'function' ? await measured(active, decoded) : decoded;
    if (image instanceof Text2ImgError) return active.fail(image);
    active.give(imageIndex, image);
  }
}

/** @returns its result, or the error if only this image is concerned */
async function measured<T>(active: ActiveJob, act: () => Promise<T>): Promise<T | Text2ImgError> {
  const startMs = performance.now();
  try {
    return await act();
  } catch (error) {
    if (error instanceof Text2ImgError && error.code === 'invalid_image') return error;
    throw error;
  } finally {
    active.addMs('decode', performance.now() - startMs);
  }
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
