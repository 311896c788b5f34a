/**
 * The parent's half of the engine: keeps one child with the model alive, hands it jobs, and turns its messages and its crashes into results.
 * When a child crashes, its jobs fail with its exit reason. The host replaces the child after a pause that doubles with each crash. The jobs' owner
 * decides whether to retry. Once a model was loaded, a start that fails is `engine_unavailable`, which is no job's fault. The next call of `start`
 * starts a child again, however often that failed before.
 */
import { fileURLToPath } from 'node:url';
import type { ErrorCode } from '../errors/error-codes.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs, pause } from '../lib/pause.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { Logger } from '../observability/logger.ts';
import type { EngineJob, GenerateOptions, ResultsOf } from './engine-job.ts';
import { EngineProcess } from './engine-process.ts';
import { PendingJob } from './pending-job.ts';
import type { ModelFacts } from '../job/model-facts.ts';
import { type ChildMessage, type EngineSettings, PROTOCOL_VERSION } from './protocol.ts';
import { type StallLimits, StallWatch } from './stall-watch.ts';

export interface EngineHostOptions extends StallLimits {
  /** A function is asked at each start of a child. */
  readonly settings: EngineSettings | (() => EngineSettings);
  readonly logger: Logger;
  /** Another child that speaks the protocol, for tests. */
  readonly childPath?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The pause before the first replacement; doubles up to a minute. */
  readonly respawnMs?: number;
}

const DEFAULT_CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './child/engine-child.ts' : './child/engine-child.js',
  import.meta.url,
);
const MAX_RESPAWN_MS = 60_000;
const DEFAULT_RESPAWN_MS = 500;
/** Of a job: its process fails every later one too, because its connection to the GPU is broken. */
const USELESS_AFTER: ReadonlySet<ErrorCode> = new Set(['device_lost', 'device_unavailable', 'engine_crashed']);
/** An idle child ends at once; one at work has nothing that anybody waits for. */
const STOP_PATIENCE_MS = 2000;

/** One child, from its fork to its end. */
interface Life {
  readonly process: EngineProcess;
  readonly ready: PromiseWithResolvers<ModelFacts>;
  isReady: boolean;
}

export class EngineHost implements AsyncDisposable {
  readonly #options: EngineHostOptions;
  readonly #jobs = new Map<string, PendingJob>();
  readonly #stall: StallWatch;
  #life: Life | undefined;
  #latest: EngineProcess | undefined;
  #isStopped = false;
  #model: ModelFacts | undefined;
  #ready: Promise<ModelFacts> | undefined;
  #deaths = 0;
  /** Aborted: nobody waits for a replacement any more. */
  #respawning = new AbortController();

  constructor(options: EngineHostOptions) {
    this.#options = options;
    this.#stall = new StallWatch(options);
  }

  /** Starts the child and loads the model; concurrent calls share one start. @throws what loading throws; `engine_unavailable` */
  start(): Promise<ModelFacts> {
    if (this.#isStopped) return Promise.reject(stopped());
    this.#ready ??= this.#spawn();
    return this.#ready;
  }

  /** Undefined before the first start is done. */
  get knownModel(): ModelFacts | undefined {
    return this.#model;
  }

  /** The facts that `start` found out about the model. */
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
    const pending = jobs.map(({ jobId }) => new PendingJob(jobId, options));
    for (const job of pending) this.#jobs.set(job.jobId, job);
    void this.#submit(jobs, options.maxBatchImages);
    // `map` keeps the number of elements, which its type does not say.
    return pending.map(({ result }) => result) as unknown as ResultsOf<Jobs>;
  }

  async #submit(jobs: readonly EngineJob[], maxBatchImages: number | undefined): Promise<void> {
    const beganMs = performance.now();
    try {
      await this.start();
    } catch (error) {
      for (const { jobId } of jobs) this.#end(jobId)?.fail(Text2ImgError.from(error));
      return;
    }
    const loadMs = performance.now() - beganMs;
    const wanted = jobs.filter(({ jobId }) => this.#jobs.has(jobId));
    if (wanted.length === 0) return;
    const limit = omitUndefined({ maxBatchImages });
    this.#life?.process.send({ type: 'generate', jobs: wanted.map(sendable), ...limit });
    for (const { jobId } of wanted) this.#sent(jobId, loadMs);
    this.#watchForStall();
  }

  #sent(jobId: string, loadMs: number): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    job.isSent = true;
    job.loadMs = loadMs;
    if (job.isWatched) this.#life?.process.send({ type: 'watch', jobId, on: true });
  }

  /** Previews of this job are wanted from now on, or no longer. A job that is not there is not watched. */
  watch(jobId: string, on: boolean): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined || job.isWatched === on) return;
    job.isWatched = on;
    if (job.isSent) this.#life?.process.send({ type: 'watch', jobId, on });
  }

  /** The job ends with `cancelled`: at the next step, or at once where no child has it yet. It may have ended before. */
  cancel(jobId: string): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    if (job.isSent) this.#life?.process.send({ type: 'cancel', jobId });
    else this.#end(jobId)?.fail(new Text2ImgError('cancelled', 'the job was cancelled.'));
  }

  /** Ends the child at once, even a busy one; its jobs end with `reason`. The next `start` loads the model anew. */
  kill(reason: Text2ImgError): void {
    this.#respawning.abort();
    const life = this.#life;
    this.#forget();
    life?.ready.reject(reason);
    life?.process.kill(reason);
    this.#rejectAll(reason);
  }

  /** Ends the child and gives its memory back; jobs that it had end with `engine_unavailable`. The next `start` loads the model anew. */
  async unload(): Promise<void> {
    this.#respawning.abort();
    const life = this.#life;
    this.#forget();
    life?.ready.reject(stopped());
    this.#rejectAll(stopped());
    await life?.process.stop(STOP_PATIENCE_MS);
  }

  /** Until the job's last step, by the time its steps took; undefined before its second step. */
  remainingMs(jobId: string): number | undefined {
    return this.#jobs.get(jobId)?.remainingMs;
  }

  /** Ends the child; jobs that it had end with `engine_unavailable`. May be called twice. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.unload();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #forget(): void {
    this.#stall.stop();
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
        ...omitUndefined({ environment }),
        onMessage: (message) => this.#life === life && this.#receive(message, life),
        onExit: (reason) => this.#life === life && this.#childEnded(reason, life),
      }),
    };
    this.#life = life;
    this.#latest = life.process;
    this.#watchForStall();
    life.process.send({
      type: 'load',
      protocolVersion: PROTOCOL_VERSION,
      settings: typeof settings === 'function' ? settings() : settings,
    });
    return ready.promise;
  }

  #receive(message: ChildMessage, life: Life): void {
    switch (message.type) {
      case 'hello':
        return;
      case 'ready':
        this.#model = message.facts;
        this.#stall.sawLoad(message.facts.loadMs);
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
        return this.#jobs.get(message.jobId)?.preview(message);
      case 'image':
        this.#jobs.get(message.jobId)?.image(message);
        return this.#watchForStall();
      case 'job-done':
        this.#deaths = 0;
        return this.#end(message.jobId)?.done(message);
      case 'job-failed':
        return this.#jobFailed(message.jobId, Text2ImgError.fromJSON(withoutUndefinedStack(message.error)));
    }
  }

  /** A process of no use is ended with all of its jobs; the next job starts another one. */
  #jobFailed(jobId: string, error: Text2ImgError): void {
    if (!USELESS_AFTER.has(error.code)) return this.#end(jobId)?.fail(error);
    this.#options.logger.error('the engine process lost its GPU and is replaced', { error, jobs: this.#jobs.size });
    this.kill(error);
  }

  #progress(message: Extract<ChildMessage, { type: 'progress' }>): void {
    const job = this.#jobs.get(message.jobId);
    if (job === undefined) return;
    this.#stall.sawStep(job.progress(message));
    this.#watchForStall();
  }

  #end(jobId: string): PendingJob | undefined {
    const job = this.#jobs.get(jobId);
    this.#jobs.delete(jobId);
    this.#watchForStall();
    return job;
  }

  #rejectAll(error: Text2ImgError): void {
    for (const jobId of Array.from(this.#jobs.keys())) this.#end(jobId)?.fail(error);
  }

  /** Every sign of life starts the wait anew. */
  #watchForStall(): void {
    const life = this.#life;
    if (life === undefined || (life.isReady && this.#jobs.size === 0)) return this.#stall.stop();
    this.#stall.restart(life.isReady ? 'step' : 'load', (reason) => life.process.kill(reason));
  }

  #childEnded(reason: Text2ImgError, life: Life): void {
    if (!life.isReady) return this.#startFailed(reason, life);
    const jobs = this.#jobs.size;
    this.#forget();
    this.#deaths++;
    this.#options.logger.error('the engine process ended', {
      error: reason,
      jobs,
      deaths: this.#deaths,
    });
    // Before the jobs fail, so that a retry waits for the replacement.
    this.#ready = this.#respawnLater();
    this.#ready.catch(() => undefined);
    this.#rejectAll(reason);
  }

  /** Callers that waited for this start receive the reason; the next call begins another start. */
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
