/** A job that an engine was asked for and that has not ended. */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import type { EngineImage, JobEvents, JobResult } from './engine-job.ts';
import type { ChildMessage } from './protocol.ts';
import { StepClock } from './step-clock.ts';
import { isPreviewSize } from './watched-jobs.ts';

/** A message about one job, without what every message has. */
type About<Type extends ChildMessage['type']> = Omit<Extract<ChildMessage, { type: Type }>, 'type' | 'jobId'>;

export class PendingJob {
  readonly jobId: string;
  readonly #events: JobEvents;
  readonly #end = Promise.withResolvers<JobResult>();
  readonly #images: EngineImage[] = [];
  readonly #clock = new StepClock();
  /** The engine has it; before that only we know of it. */
  isSent = false;
  isWatched = false;
  /** How long it waited for the model. */
  loadMs = 0;

  constructor(jobId: string, events: JobEvents) {
    this.jobId = jobId;
    this.#events = events;
    // The owner may look at the results one after the other; a rejection in the meantime is not unhandled.
    this.result.catch(() => undefined);
  }

  get result(): Promise<JobResult> {
    return this.#end.promise;
  }

  /** Until its last step, by the time its passes took; undefined before its second pass. */
  get remainingMs(): number | undefined {
    return this.#clock.remainingMs();
  }

  /** @returns how long the pass took */
  progress({ stage, step, steps, pass, passes }: About<'progress'>): number {
    const passMs = this.#clock.tick(pass, passes);
    this.#events.onProgress?.(this.jobId, { stage, step, steps });
    return passMs;
  }

  /** One that was on its way when the watching ended, and one that is larger than agreed, are dropped. */
  preview({ image }: About<'preview'>): void {
    if (this.isWatched && isPreviewSize(image)) this.#events.onPreview?.(this.jobId, image);
  }

  image({ imageIndex, seed, image }: About<'image'>): void {
    this.#images.push({ imageIndex, seed, image });
  }

  done({ warnings, durationsMs }: About<'job-done'>): void {
    const images = this.#images.toSorted((a, b) => a.imageIndex - b.imageIndex);
    this.#end.resolve({ images, warnings, durationsMs: { load: this.loadMs, ...durationsMs } });
  }

  fail(error: Text2ImgError): void {
    this.#end.reject(error);
  }
}
