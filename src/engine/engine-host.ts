/**
 * The parent's half of the engine: keeps one child with the model alive, hands it jobs, and turns its messages and its deaths into results.
 * A child that dies is reported with its exit reason to the jobs it had, and replaced after a pause that doubles with each
 * death; the jobs' owner decides whether to try again. Once a model was loaded, a start that fails is `engine_unavailable`, which is no job's
 * fault, and the next call of `start` tries again: nothing is ever given up for good.
 */
import { fileURLToPath } from 'node:url';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs, pause } from '../lib/pause.ts';
import type { Logger } from '../observability/logger.ts';
import type { EngineImage, EngineJob, GenerateOptions, JobEvents, JobResult, ResultsOf } from './engine-job.ts';
import { EngineProcess } from './engine-process.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import { type ChildMessage, type EngineSettings, PROTOCOL_VERSION } from './protocol.ts';
import { StepClock } from './step-clock.ts';
import { isPreviewSize } from './watched-jobs.ts';

export interface EngineHostOptions {
  readonly settings: EngineSettings;
  readonly logger: Logger;
  /** Another child that speaks the protocol, for tests. */
  readonly childPath?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The shortest silence that counts as a stall; a slow model may be silent for ten of its slowest steps. */
  readonly stallMs?: number;
  /** The longest that loading may take; from the second load on no more than ten times what the one before took, or five minutes. */
  readonly maxLoadMs?: number;
  /** The pause before the first replacement; doubles up to a minute. */
  readonly respawnMs?: number;
}

interface PendingJob {
  /** The child has it; before that only we know of it. */
  isSent: boolean;
  isWatched: boolean;
  readonly events: JobEvents;
  readonly images: EngineImage[];
  loadMs: number;
  readonly clock: StepClock;
  resolve(result: JobResult): void;
  reject(error: Text2ImgError): void;
}

const DEFAULT_CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './child/engine-child.ts' : './child/engine-child.js',
  import.meta.url,
);
const DEFAULT_STALL_MS = 5 * 60_000;
const MAX_RESPAWN_MS = 60_000;
const DEFAULT_RESPAWN_MS = 500;
const MAX_FIRST_LOAD_MS = 30 * 60_000;
/** An idle child ends at once; one at work has nothing that anybody waits for. */
const STOP_PATIENCE_MS = 2000;
const STALL_STEPS = 10;

/** One child, from its fork to its end. */
interface Life {
  readonly process: EngineProcess;
  readonly ready: PromiseWithResolvers<ModelFacts>;
  isReady: boolean;
}

export class EngineHost implements AsyncDisposable {
  readonly #options: EngineHostOptions;
  readonly #jobs = new Map<string, PendingJob>();
  #life: Life | undefined;
  #latest: EngineProcess | undefined;
  #isStopped = false;
  #model: ModelFacts | undefined;
  #ready: Promise<ModelFacts> | undefined;
  #deaths = 0;
  #slowestStepMs = 0;
  #stallTimer: NodeJS.Timeout | undefined;
  /** Aborted: nobody waits for a replacement any more. */
  #respawning = new AbortController();

  constructor(options: EngineHostOptions) {
    this.#options = options;
  }

  /** Starts the child and loads the model; concurrent calls share one start. @throws what loading throws; `engine_unavailable` */
  start(): Promise<ModelFacts> {
    if (this.#isStopped) return Promise.reject(stopped());
    this.#ready ??= this.#spawn();
    return this.#ready;
  }

  /** What `start` found out. */
  get model(): ModelFacts {
    if (this.#model === undefined)
      throw new Text2ImgError('internal', 'the engine was asked for its model before it was started.');
    return this.#model;
  }

  /** The model is loaded, and the engine waits for jobs or generates. */
  get isReady(): boolean {
    return this.#life?.isReady === true;
  }

  /** The child's process id while there is one, also where it was killed and has not disappeared yet. */
  get pid(): number | undefined {
    return this.#latest?.pid;
  }

  /** Jobs that can share passes; each has its own end. Waits for an engine that is being replaced. */
  generate<const Jobs extends readonly EngineJob[]>(jobs: Jobs, options: GenerateOptions = {}): ResultsOf<Jobs> {
    const results = jobs.map(({ jobId }) => {
      const { promise, resolve, reject } = Promise.withResolvers<JobResult>();
      // The owner may look at the results one after the other; a rejection in the meantime is not unhandled.
      promise.catch(() => undefined);
      const clock = new StepClock();
      this.#jobs.set(jobId, {
        isSent: false,
        isWatched: false,
        events: options,
        images: [],
        loadMs: 0,
        clock,
        resolve,
        reject,
      });
      return promise;
    });
    void this.#submit(jobs, options.maxBatchImages);
    // `map` keeps the number of elements, which its type does not say.
    return results as ResultsOf<Jobs>;
  }

  async #submit(jobs: readonly EngineJob[], maxBatchImages: number | undefined): Promise<void> {
    const beganMs = performance.now();
    try {
      await this.start();
    } catch (error) {
      for (const { jobId } of jobs) this.#end(jobId)?.reject(Text2ImgError.from(error));
      return;
    }
    const loadMs = performance.now() - beganMs;
    const wanted = jobs.filter(({ jobId }) => this.#jobs.has(jobId));
    if (wanted.length === 0) return;
    for (const { jobId } of wanted) Object.assign(this.#jobs.get(jobId) as PendingJob, { isSent: true, loadMs });
    const limit = maxBatchImages === undefined ? {} : { maxBatchImages };
    this.#life?.process.send({ type: 'generate', jobs: wanted.map(sendable), ...limit });
    for (const { jobId } of wanted) if (this.#jobs.get(jobId)?.isWatched === true) this.watch(jobId, true);
    this.#watchForStall();
  }

  /** Previews of this job are wanted from now on, or no longer. A job that is not there is not watched. */
  watch(jobId: string, on: boolean): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    job.isWatched = on;
    if (job.isSent) this.#life?.process.send({ type: 'watch', jobId, on });
  }

  /** The job ends with `cancelled`: at the next step, or at once where no child has it yet. It may have ended before. */
  cancel(jobId: string): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    if (job.isSent) this.#life?.process.send({ type: 'cancel', jobId });
    else this.#end(jobId)?.reject(new Text2ImgError('cancelled', 'the job was cancelled.'));
  }

  /** Ends the child at once, whatever it does; its jobs end with `reason`. The next `start` loads the model anew. */
  kill(reason: Text2ImgError): void {
    this.#respawning.abort();
    const life = this.#life;
    this.#forget();
    life?.ready.reject(reason);
    life?.process.kill(reason);
    this.#rejectAll(reason);
  }

  /** Until the job's last step, by the time its steps took; undefined before its second step. */
  remainingMs(jobId: string): number | undefined {
    return this.#jobs.get(jobId)?.clock.remainingMs();
  }

  /** Ends the child; jobs that it had end with `engine_unavailable`. May be called twice. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#respawning.abort();
    const life = this.#life;
    this.#forget();
    life?.ready.reject(stopped());
    this.#rejectAll(stopped());
    await life?.process.stop(STOP_PATIENCE_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #forget(): void {
    clearTimeout(this.#stallTimer);
    this.#life = undefined;
    this.#ready = undefined;
  }

  #spawn(): Promise<ModelFacts> {
    const { settings, logger, childPath = fileURLToPath(DEFAULT_CHILD), environment } = this.#options;
    const ready = Promise.withResolvers<ModelFacts>();
    ready.promise.catch(() => undefined);
    const life: Life = {
      ready,
      isReady: false,
      process: new EngineProcess({
        childPath,
        logger,
        ...(environment === undefined ? {} : { environment }),
        onMessage: (message) => this.#life === life && this.#receive(message, life),
        onExit: (reason) => this.#life === life && this.#childEnded(reason, life),
      }),
    };
    this.#life = life;
    this.#latest = life.process;
    this.#watchForStall();
    life.process.send({ type: 'load', protocolVersion: PROTOCOL_VERSION, settings });
    return ready.promise;
  }

  #receive(message: ChildMessage, life: Life): void {
    switch (message.type) {
      case 'hello':
        return;
      case 'ready':
        this.#model = message.facts;
        life.isReady = true;
        this.#watchForStall();
        return life.ready.resolve(message.facts);
      case 'model-hash':
        if (this.#model !== undefined) this.#model = { ...this.#model, modelHash: message.modelHash };
        return;
      case 'load-failed':
        // It has nothing more to say, and ends by itself.
        this.#startFailed(Text2ImgError.fromJSON(withoutUndefinedStack(message.error)), life);
        return void life.process.stop(STOP_PATIENCE_MS);
      case 'progress':
        return this.#progress(message);
      case 'preview':
        return this.#preview(message);
      case 'image': {
        const { imageIndex, seed, image } = message;
        this.#jobs.get(message.jobId)?.images.push({ imageIndex, seed, image });
        return this.#watchForStall();
      }
      case 'job-done': {
        this.#deaths = 0;
        const job = this.#end(message.jobId);
        job?.resolve({
          images: job.images.toSorted((a, b) => a.imageIndex - b.imageIndex),
          warnings: message.warnings,
          durationsMs: { load: job.loadMs, ...message.durationsMs },
        });
        return;
      }
      case 'job-failed':
        this.#end(message.jobId)?.reject(Text2ImgError.fromJSON(withoutUndefinedStack(message.error)));
        return;
    }
  }

  #progress({ jobId, stage, step, steps }: Extract<ChildMessage, { type: 'progress' }>): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    this.#slowestStepMs = Math.max(this.#slowestStepMs, job.clock.tick(step, steps));
    this.#watchForStall();
    job.events.onProgress?.(jobId, { stage, step, steps });
  }

  #preview({ jobId, image }: Extract<ChildMessage, { type: 'preview' }>): void {
    const job = this.#jobs.get(jobId);
    // One that was on its way when the watching ended, and one that is larger than agreed, are dropped.
    if (job?.isWatched === true && isPreviewSize(image)) job.events.onPreview?.(jobId, image);
  }

  #end(jobId: string): PendingJob | undefined {
    const job = this.#jobs.get(jobId);
    this.#jobs.delete(jobId);
    this.#watchForStall();
    return job;
  }

  #rejectAll(error: Text2ImgError): void {
    for (const jobId of Array.from(this.#jobs.keys())) this.#end(jobId)?.reject(error);
  }

  /** Every sign of life starts the wait anew. */
  #watchForStall(): void {
    clearTimeout(this.#stallTimer);
    const life = this.#life;
    if (life === undefined || (life.isReady && this.#jobs.size === 0)) return;
    const limitMs = life.isReady ? this.#stepLimitMs() : this.#loadLimitMs();
    this.#stallTimer = setTimeout(() => {
      const seconds = (limitMs / 1000).toFixed(1);
      const what = life.isReady ? 'made no progress' : 'was not done with loading the model';
      life.process.kill(new Text2ImgError('engine_stalled', `the engine ${what} for ${seconds} s and was ended.`));
    }, limitMs);
  }

  #stepLimitMs(): number {
    return Math.max(this.#options.stallMs ?? DEFAULT_STALL_MS, STALL_STEPS * this.#slowestStepMs);
  }

  #loadLimitMs(): number {
    const { maxLoadMs = MAX_FIRST_LOAD_MS } = this.#options;
    if (this.#model === undefined) return maxLoadMs;
    return Math.min(maxLoadMs, Math.max(DEFAULT_STALL_MS, STALL_STEPS * this.#model.loadMs));
  }

  #childEnded(reason: Text2ImgError, life: Life): void {
    if (!life.isReady) return this.#startFailed(reason, life);
    const jobs = this.#jobs.size;
    this.#forget();
    this.#deaths++;
    this.#options.logger.error('the engine process ended', {
      code: reason.code,
      reason: reason.message,
      jobs,
      deaths: this.#deaths,
    });
    // Before the jobs hear of it, so that a retry waits for the replacement.
    this.#ready = this.#respawnLater();
    this.#ready.catch(() => undefined);
    this.#rejectAll(reason);
  }

  /** Whoever waited for this start hears why; the next one that asks begins another. */
  #startFailed(error: Text2ImgError, life: Life): void {
    this.#forget();
    const known = this.#model === undefined ? error : cannotStartAgain(error);
    life.ready.reject(known);
    this.#rejectAll(known);
  }

  async #respawnLater(): Promise<ModelFacts> {
    const { respawnMs = DEFAULT_RESPAWN_MS } = this.#options;
    this.#respawning = new AbortController();
    const { signal } = this.#respawning;
    await pause(
      growingPauseMs(this.#deaths, { firstMs: respawnMs, maxMs: Math.max(respawnMs, MAX_RESPAWN_MS) }),
      signal,
    );
    if (signal.aborted) throw stopped();
    return this.#spawn();
  }
}

function stopped(): Text2ImgError {
  return new Text2ImgError('engine_unavailable', 'the engine was stopped.');
}

/** A model that could be loaded before is not what is at fault now: its disk, the machine or its memory is. */
function cannotStartAgain({ code, message }: Text2ImgError): Text2ImgError {
  if (code === 'engine_unavailable') return new Text2ImgError(code, message);
  return new Text2ImgError('engine_unavailable', `the engine cannot be started again: ${code}: ${message}`);
}

function sendable({ jobId, request, images }: EngineJob) {
  return { jobId, request, images: [...images] };
}

function withoutUndefinedStack({
  stack,
  ...error
}: {
  code: Text2ImgError['code'];
  message: string;
  stack?: string | undefined;
}): ReturnType<Text2ImgError['toJSON']> {
  return stack === undefined ? error : { ...error, stack };
}
