/**
 * The parent's half of the engine: keeps one child with the model alive, hands it jobs, and turns its messages and its deaths into results.
 * A child that dies is reported with its exit reason to the jobs it had, and replaced after a pause that doubles with each
 * death; the jobs' owner decides whether to try again.
 */
import { fileURLToPath } from 'node:url';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';
import type { Logger } from '../observability/logger.ts';
import { EngineProcess } from './engine-process.ts';
import { type ChildMessage, type EngineSettings, type ModelFacts, PROTOCOL_VERSION } from './protocol.ts';
import { StepClock } from './step-clock.ts';

export interface EngineHostOptions {
  readonly settings: EngineSettings;
  readonly logger: Logger;
  /** Another child that speaks the protocol, for tests. */
  readonly childPath?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The shortest silence that counts as a stall; a slow model may be silent for ten of its slowest steps. */
  readonly stallMs?: number;
  /** The pause before the first replacement; doubles up to a minute. */
  readonly respawnMs?: number;
  /** Deaths in a row, without a finished job between them, after which no other child is tried. */
  readonly maxDeaths?: number;
}

export interface EngineJob {
  readonly jobId: string;
  readonly request: ResolvedGenerationRequest;
}

interface EngineImage {
  readonly imageIndex: number;
  readonly seed: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly rgb: Uint8Array;
}

export interface EngineJobResult {
  /** In order. */
  readonly images: readonly EngineImage[];
  readonly warnings: readonly string[];
}

type EngineStage = 'encode' | 'denoise' | 'decode';

export interface EngineProgress {
  readonly stage: EngineStage;
  readonly step: number;
  readonly steps: number;
}

interface EngineHandlers {
  onProgress?(jobId: string, progress: EngineProgress): void;
}

export interface GenerateOptions extends EngineHandlers {
  /** Fewer images per pass than the model allows. */
  readonly maxBatchImages?: number;
}

interface PendingJob {
  readonly handlers: EngineHandlers;
  readonly images: EngineImage[];
  readonly clock: StepClock;
  resolve(result: EngineJobResult): void;
  reject(error: Text2ImgError): void;
}

const DEFAULT_CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './engine-child.ts' : './engine-child.js',
  import.meta.url,
);
const DEFAULT_STALL_MS = 5 * 60_000;
const MAX_RESPAWN_MS = 60_000;
const STOP_PATIENCE_MS = 10_000;
const STALL_STEPS = 10;

type Phase =
  | { readonly name: 'idle' | 'stopped' }
  | { readonly name: 'running'; readonly process: EngineProcess; readonly ready: PromiseWithResolvers<ModelFacts> };

export class EngineHost implements AsyncDisposable {
  readonly #options: EngineHostOptions;
  readonly #jobs = new Map<string, PendingJob>();
  #phase: Phase = { name: 'idle' };
  #model: ModelFacts | undefined;
  #ready: Promise<ModelFacts> | undefined;
  #deaths = 0;
  #slowestStepMs = 0;
  #stallTimer: NodeJS.Timeout | undefined;
  #wakeRespawn: (() => void) | undefined;

  constructor(options: EngineHostOptions) {
    this.#options = options;
  }

  /** Starts the child and loads the model; concurrent calls share one start. @throws what loading throws, `engine_unavailable` */
  start(): Promise<ModelFacts> {
    if (this.#phase.name === 'stopped')
      return Promise.reject(new Text2ImgError('engine_unavailable', 'the engine was stopped.'));
    this.#ready ??= this.#spawn();
    return this.#ready;
  }

  /** What `start` found out. */
  get model(): ModelFacts {
    if (this.#model === undefined)
      throw new Text2ImgError('internal', 'the engine was asked for its model before it was started.');
    return this.#model;
  }

  /** The child's process id while there is one. */
  get pid(): number | undefined {
    return this.#phase.name === 'running' ? this.#phase.process.pid : undefined;
  }

  /** Draws jobs that can share passes; each has its own end. Waits for a child that is being replaced. */
  generate(jobs: readonly EngineJob[], handlers: GenerateOptions = {}): ReadonlyMap<string, Promise<EngineJobResult>> {
    const results = new Map<string, Promise<EngineJobResult>>();
    for (const { jobId } of jobs) {
      const { promise, resolve, reject } = Promise.withResolvers<EngineJobResult>();
      // The owner may look at the results one after the other; a rejection in the meantime is not unhandled.
      promise.catch(() => undefined);
      this.#jobs.set(jobId, { handlers, images: [], clock: new StepClock(), resolve, reject });
      results.set(jobId, promise);
    }
    void this.#submit(jobs, handlers.maxBatchImages);
    return results;
  }

  async #submit(jobs: readonly EngineJob[], maxBatchImages: number | undefined): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      for (const { jobId } of jobs) this.#end(jobId)?.reject(Text2ImgError.from(error));
      return;
    }
    const wanted = jobs.filter(({ jobId }) => this.#jobs.has(jobId));
    if (wanted.length === 0 || this.#phase.name !== 'running') return;
    const limit = maxBatchImages === undefined ? {} : { maxBatchImages };
    this.#phase.process.send({ type: 'generate', jobs: wanted, ...limit });
    this.#watchForStall();
  }

  /** At the next step the job ends with `cancelled`, unless it has ended before. */
  cancel(jobId: string): void {
    if (!this.#jobs.has(jobId)) return;
    if (this.#phase.name === 'running' && this.#model !== undefined)
      this.#phase.process.send({ type: 'cancel', jobId });
  }

  /** Milliseconds until the job's last step by the time its steps took; undefined before its second step. */
  estimateRemainingMs(jobId: string): number | undefined {
    return this.#jobs.get(jobId)?.clock.remainingMs();
  }

  /** Ends the child; jobs that it had end with `engine_unavailable`. May be called twice. */
  async stop(): Promise<void> {
    const phase = this.#phase;
    this.#phase = { name: 'stopped' };
    clearTimeout(this.#stallTimer);
    this.#wakeRespawn?.();
    if (phase.name === 'running') await phase.process.stop(STOP_PATIENCE_MS);
    this.#rejectAll(new Text2ImgError('engine_unavailable', 'the engine was stopped.'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #spawn(): Promise<ModelFacts> {
    const ready = Promise.withResolvers<ModelFacts>();
    ready.promise.catch(() => undefined);
    const { settings, logger, childPath = fileURLToPath(DEFAULT_CHILD), environment } = this.#options;
    const process = new EngineProcess({
      childPath,
      logger,
      ...(environment === undefined ? {} : { environment }),
      onMessage: (message) => this.#receive(message, ready),
      onExit: (reason) => this.#childEnded(reason, ready),
    });
    this.#phase = { name: 'running', process, ready };
    process.send({ type: 'load', protocolVersion: PROTOCOL_VERSION, settings });
    return ready.promise;
  }

  #receive(message: ChildMessage, ready: PromiseWithResolvers<ModelFacts>): void {
    switch (message.type) {
      case 'hello':
        return;
      case 'ready':
        this.#model = message.model;
        return ready.resolve(message.model);
      case 'load-failed':
        return ready.reject(Text2ImgError.fromJSON(withoutUndefinedStack(message.error)));
      case 'progress':
        return this.#progress(message);
      case 'image': {
        const { imageIndex, seed, widthPx, heightPx, rgb } = message;
        this.#jobs.get(message.jobId)?.images.push({ imageIndex, seed, widthPx, heightPx, rgb });
        return this.#watchForStall();
      }
      case 'job-done': {
        this.#deaths = 0;
        const job = this.#end(message.jobId);
        job?.resolve({
          images: job.images.toSorted((a, b) => a.imageIndex - b.imageIndex),
          warnings: message.warnings,
        });
        return;
      }
      case 'job-failed':
        this.#end(message.jobId)?.reject(Text2ImgError.fromJSON(withoutUndefinedStack(message.error)));
        return;
      case 'log':
        return this.#options.logger[LOG_METHODS[message.level]](message.message, message.fields);
    }
  }

  #progress({ jobId, stage, step, steps }: Extract<ChildMessage, { type: 'progress' }>): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    this.#slowestStepMs = Math.max(this.#slowestStepMs, job.clock.tick(step, steps));
    this.#watchForStall();
    job.handlers.onProgress?.(jobId, { stage, step, steps });
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
    const phase = this.#phase;
    if (this.#jobs.size === 0 || phase.name !== 'running' || this.#model === undefined) return;
    const limitMs = Math.max(this.#options.stallMs ?? DEFAULT_STALL_MS, STALL_STEPS * this.#slowestStepMs);
    this.#stallTimer = setTimeout(() => {
      const seconds = (limitMs / 1000).toFixed(1);
      phase.process.kill(
        new Text2ImgError('engine_stalled', `the engine made no progress for ${seconds} s and was ended.`),
      );
    }, limitMs);
  }

  #childEnded(reason: Text2ImgError, ready: PromiseWithResolvers<ModelFacts>): void {
    clearTimeout(this.#stallTimer);
    ready.reject(reason);
    if (this.#phase.name === 'stopped') return;
    this.#phase = { name: 'idle' };
    this.#ready = undefined;
    const wasReady = this.#model !== undefined;
    const jobs = this.#jobs.size;
    if (!wasReady) return this.#rejectAll(reason);
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

  async #respawnLater(): Promise<ModelFacts> {
    const { respawnMs = 500, maxDeaths = 8 } = this.#options;
    if (this.#deaths > maxDeaths)
      throw new Text2ImgError(
        'engine_unavailable',
        `the engine process ended ${this.#deaths} times in a row; no other is started.`,
      );
    const pauseMs = Math.min(respawnMs * 2 ** (this.#deaths - 1), MAX_RESPAWN_MS) * (0.75 + Math.random() / 2);
    await new Promise<void>((resolve) => {
      this.#wakeRespawn = resolve;
      setTimeout(resolve, pauseMs);
    });
    if (this.#phase.name === 'stopped') throw new Text2ImgError('engine_unavailable', 'the engine was stopped.');
    return this.#spawn();
  }
}

const LOG_METHODS = { DEBUG: 'debug', INFO: 'info', WARNING: 'warning', ERROR: 'error' } as const;

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
