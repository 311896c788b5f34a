/**
 * The worker: claims, draws, publishes, until the queue is drained or it is told to stop. The stages overlap, so that the model never waits
 * for the network: towards the end of a batch the next one is claimed, and pictures are encoded, uploaded and completed while the next ones are
 * drawn. Everything is bounded: one batch ahead, `MAX_PUBLISHING` documents behind.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { BatchBudget } from './batch-budget.ts';
import { ClaimedJob } from './claimed-job.ts';
import { type BatchContext, drawJobs, finish, type PreparedJob, prepareJobs } from './run-batch.ts';
import { GracefulStop } from './shutdown.ts';
import type { WorkerEvent, WorkerOptions, WorkerSummary } from './worker-options.ts';

const DEFAULT_POLL_MS = 500;
/** Finished pictures that wait for the network; above it the model waits too, instead of the memory filling up. */
const MAX_PUBLISHING = 32;
/** The next batch is claimed when the present one needs this much longer, or twice what the last claim took. */
const MIN_LEAD_MS = 200;
const LOOK_MS = 20;
/** While the end is far. */
const MAX_LOOK_MS = 1000;
/** While the queue cannot be reached. */
const MAX_OUTAGE_PAUSE_MS = 30_000;

/**
 * Runs until the end of the drain, or until the signal. The engine is warm and the store checked before this is called.
 * @throws `queue_failed`, `disk_full` when a queue that is drained cannot be read any more; `engine_unavailable` when no engine can be had
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerSummary> {
  using worker = new Worker(options);
  return await worker.run();
}

class Worker implements Disposable {
  readonly #options: WorkerOptions;
  readonly #stop: GracefulStop;
  readonly #context: BatchContext;
  readonly #publishing = new Set<Promise<void>>();
  readonly #summary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };
  #claimMs = 0;
  #outages = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#stop = new GracefulStop(options);
    this.#context = {
      options,
      budget: new BatchBudget({ maxImages: options.engine.model.maxBatchImages, logger: options.logger }),
      publishingSignal: this.#stop.publishingSignal,
    };
  }

  async run(): Promise<WorkerSummary> {
    const { signal, mode, queue } = this.#options;
    let next: Promise<PreparedJob[]> | undefined;
    try {
      while (!signal.aborted) {
        this.#options.onAlive?.();
        const jobs = await (next ?? this.#claim());
        next = undefined;
        if (jobs.length > 0) {
          const drawing = drawJobs(jobs, this.#context);
          // Not handled here, when the drawing itself fails.
          next = this.#claimTowardsTheEndOf(jobs, drawing);
          next.catch(() => undefined);
          for (const published of await drawing) this.#publish(published);
          while (this.#publishing.size >= MAX_PUBLISHING) {
            this.#options.onAlive?.();
            await Promise.race([...this.#publishing, sleep(MAX_LOOK_MS)]);
          }
        } else if (mode === 'drain' && this.#publishing.size > 0) {
          await Promise.race(this.#publishing);
        } else {
          if (mode === 'drain' && this.#outages === 0 && (await queue.drainState()).isDrained) break;
          await this.#idle();
        }
      }
    } finally {
      // Claimed ahead, and nobody will draw it now.
      for (const { job } of await (next ?? Promise.resolve([])).catch(() => [])) await finish(job, () => job.release());
      await Promise.all(this.#publishing);
    }
    return this.#summary;
  }

  [Symbol.dispose](): void {
    this.#stop[Symbol.dispose]();
  }

  #tell(event: WorkerEvent): void {
    if (event.type !== 'claimed' && event.type !== 'progress') this.#summary[event.type]++;
    this.#options.onEvent?.(event);
  }

  #publish(published: Promise<void>): void {
    this.#publishing.add(published);
    void published.finally(() => this.#publishing.delete(published));
  }

  /** As many as the engine can draw together, so that none waits in a claim; those that need no drawing are ended. */
  async #claim(): Promise<PreparedJob[]> {
    const { logger, mode, signal } = this.#options;
    const startedMs = performance.now();
    try {
      for (;;) {
        const jobs = await this.#claimJobs();
        this.#outages = 0;
        const prepared = await prepareJobs(jobs, this.#context);
        this.#claimMs = performance.now() - startedMs;
        // Where all of them ended before they were drawn, there may be more behind them.
        if (prepared.length > 0 || jobs.length === 0 || signal.aborted) return prepared;
      }
    } catch (error) {
      // A service waits for its database; a drain that cannot know whether it is done says so.
      if (mode === 'drain' || !Text2ImgError.from(error).retryable) throw error;
      this.#outages++;
      logger.error('the queue cannot be read; trying again', { outages: this.#outages, error });
      return [];
    }
  }

  async #claimJobs(): Promise<ClaimedJob[]> {
    const { queue, engine, batchSize, logger } = this.#options;
    const reaped = await queue.reap();
    if (reaped > 0) logger.warning('prompts ended because all their attempts died', { count: reaped });
    const claimedAtMs = performance.now();
    const claims = await queue.claim({ limit: Math.max(1, Math.min(batchSize, engine.model.maxBatchImages)) });
    return claims.map((claim) => {
      const job = new ClaimedJob(claim, this.#options, {
        claimedAtMs,
        tell: (event) => this.#tell(event),
        onEnd: () => this.#stop.delete(job),
      });
      this.#stop.add(job);
      return job;
    });
  }

  async #claimTowardsTheEndOf(jobs: readonly PreparedJob[], drawing: Promise<unknown>): Promise<PreparedJob[]> {
    const { engine, signal } = this.#options;
    const drawn = drawing.then(
      () => true,
      () => true,
    );
    for (;;) {
      const leadMs = Math.max(MIN_LEAD_MS, 2 * this.#claimMs);
      // Undefined: not begun yet.
      const remainingMs = jobs.map(({ job }) => (job.isDrawn ? 0 : engine.estimateRemainingMs(job.jobId)));
      this.#options.onAlive?.();
      // The last to be done decides.
      const longestMs = remainingMs.includes(undefined) ? undefined : Math.max(...(remainingMs as number[]));
      if (longestMs !== undefined && longestMs <= leadMs) break;
      const lookMs = Math.min(MAX_LOOK_MS, Math.max(LOOK_MS, (longestMs ?? 0) - leadMs));
      if (await Promise.race([drawn, sleep(lookMs, false)])) break;
    }
    return signal.aborted ? [] : this.#claim();
  }

  /** Until there may be something to do: a document becomes pending, a lease or a backoff ends, or the next look. */
  async #idle(): Promise<void> {
    const { queue, signal, pollMs = DEFAULT_POLL_MS } = this.#options;
    if (this.#outages > 0) {
      const pauseMs = Math.min(pollMs * 2 ** this.#outages, MAX_OUTAGE_PAUSE_MS) * (0.75 + Math.random() / 2);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      return;
    }
    const dueMs = await queue.msUntilNextDue().catch(() => undefined);
    const timeoutMs = Math.min((dueMs ?? pollMs) + 1, pollMs) * (0.75 + Math.random() / 2);
    await queue.untilChanged({ timeoutMs, signal });
  }
}
