/**
 * A graceful stop. The engine finishes the jobs that fit into the grace period; the worker releases the others at the next step. When the period is
 * over, the worker also releases jobs that are generated but not stored, and their next attempt finds what was stored. No call that hangs delays the
 * end. When the grace period is over, the worker kills the engine, and a little later it stops waiting for answers.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { ClaimedJob } from './claimed-job.ts';
import type { WorkerOptions } from './worker-contract.ts';

/** How often the estimate is looked at again. */
const LOOK_MS = 50;
/** After the grace period, for writing to the queue what is released. */
const LAST_WRITES_MS = 2000;

/** Watches the signal for all jobs that a worker holds. */
export class GracefulStop implements Disposable {
  readonly #options: WorkerOptions;
  readonly #jobs = new Set<ClaimedJob>();
  readonly #publishing = new AbortController();
  readonly #last = new AbortController();
  readonly #start = (): void => this.#begin();
  #timer: NodeJS.Timeout | undefined;
  #lastTimer: NodeJS.Timeout | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    if (options.signal.aborted) this.#begin();
    else options.signal.addEventListener('abort', this.#start, { once: true });
  }

  /** Aborted when the grace period is over. */
  get publishingSignal(): AbortSignal {
    return this.#publishing.signal;
  }

  /** Aborted when nothing is waited for any more. */
  get lastSignal(): AbortSignal {
    return this.#last.signal;
  }

  get jobs(): ReadonlySet<ClaimedJob> {
    return this.#jobs;
  }

  add(job: ClaimedJob): void {
    this.#jobs.add(job);
  }

  delete(job: ClaimedJob): void {
    this.#jobs.delete(job);
  }

  [Symbol.dispose](): void {
    this.#options.signal.removeEventListener('abort', this.#start);
    clearInterval(this.#timer);
    clearTimeout(this.#lastTimer);
  }

  #begin(): void {
    const { graceMs, pool } = this.#options;
    const deadlineMs = performance.now() + graceMs;
    const look = (): void => {
      const leftMs = deadlineMs - performance.now();
      for (const job of this.#jobs) {
        const neededMs = pool.remainingMs(job.jobId);
        // Without an estimate the first steps decide.
        if (leftMs <= 0 || (neededMs !== undefined && neededMs > leftMs)) this.#release(job);
      }
      if (leftMs <= 0) this.#end();
    };
    look();
    if (!this.#publishing.signal.aborted) this.#timer = setInterval(look, LOOK_MS);
  }

  /** The grace period is over. */
  #end(): void {
    clearInterval(this.#timer);
    this.#publishing.abort();
    // A step may take minutes, or never end.
    const isGenerating = Array.from(this.#jobs).some((job) => !job.isGenerated);
    if (isGenerating) this.#options.pool.kill(new Text2ImgError('engine_unavailable', 'the grace period is over.'));
    this.#lastTimer = setTimeout(() => this.#last.abort(), LAST_WRITES_MS);
  }

  #release(job: ClaimedJob): void {
    job.mustRelease = true;
    this.#options.pool.cancel(job.jobId);
  }
}
