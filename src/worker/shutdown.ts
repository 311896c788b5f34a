/**
 * A graceful stop: what the engine can finish within the grace period is finished, the rest is given back at the next step; what is drawn but
 * not stored when it is over is given back too, and its next attempt finds what was stored.
 */
import type { ClaimedJob } from './claimed-job.ts';
import type { WorkerOptions } from './worker-options.ts';

/** How often the estimate is looked at again. */
const LOOK_MS = 50;

/** Watches the signal for all jobs that a worker holds. */
export class GracefulStop implements Disposable {
  readonly #options: WorkerOptions;
  readonly #jobs = new Set<ClaimedJob>();
  readonly #publishing = new AbortController();
  readonly #start = (): void => this.#begin();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    if (options.signal.aborted) this.#begin();
    else options.signal.addEventListener('abort', this.#start, { once: true });
  }

  /** Aborted when the grace period is over. */
  get publishingSignal(): AbortSignal {
    return this.#publishing.signal;
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
  }

  #begin(): void {
    const deadlineMs = performance.now() + this.#options.graceMs;
    const look = (): void => {
      const leftMs = deadlineMs - performance.now();
      for (const job of this.#jobs) {
        const neededMs = this.#options.engine.estimateRemainingMs(job.jobId);
        // Without an estimate the first steps decide.
        if (leftMs <= 0 || (neededMs !== undefined && neededMs > leftMs)) this.#giveBack(job);
      }
      if (leftMs <= 0) this.#publishing.abort();
    };
    look();
    this.#timer = setInterval(look, LOOK_MS);
  }

  #giveBack(job: ClaimedJob): void {
    job.givesBack = true;
    this.#options.engine.cancel(job.jobId);
  }
}
