/**
 * Renews one claim's lease while its images are generated and stored, and knows when the claim may no longer be ours. A worker that cannot reach
 * the queue, or was frozen for longer than its lease, must not publish.
 */
import type { Logger } from '../observability/logger.ts';
import type { ClaimedPrompt, JobProgress, PromptQueue } from '../queue/prompt-queue.ts';

export interface LeaseOptions {
  readonly queue: PromptQueue;
  readonly claim: ClaimedPrompt;
  readonly leaseMs: number;
  /** Time between two renewals. */
  readonly renewMs: number;
  /** Taken before the claim was asked for. */
  readonly claimedAtMs: number;
  readonly logger: Logger;
  /** Called once, when the queue says that the claim is no longer ours. */
  readonly onLost: () => void;
  /** A monotonic clock. */
  readonly now?: () => number;
}

/** While somebody watches the job: they see its progress, and a cancel takes no longer than this and a step. */
const WATCHED_RENEW_MS = 900;

/** Of the lease this share is left unused, for the time between the last look at the clock and the write. */
const MARGIN = 0.1;

export class Lease implements Disposable {
  readonly #options: LeaseOptions;
  readonly #now: () => number;
  #renewedAtMs: number;
  #progress: JobProgress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isWatched = false;
  #lost = false;
  #stopped = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#renewedAtMs = options.claimedAtMs;
    this.#schedule();
  }

  get progress(): JobProgress | undefined {
    return this.#progress;
  }

  /** Is written with the next renewal. */
  set progress(progress: JobProgress) {
    this.#progress = progress;
  }

  get isWatched(): boolean {
    return this.#isWatched;
  }

  /** Somebody watches the job: it is renewed each second. */
  set isWatched(isWatched: boolean) {
    if (isWatched === this.#isWatched) return;
    this.#isWatched = isWatched;
    if (!this.#stopped && !this.#lost) this.#schedule();
  }

  get isLost(): boolean {
    return this.#lost;
  }

  /** True while the lease surely runs by this machine's clock, counted from when the last good renewal was sent. */
  get isSafe(): boolean {
    return !this.#lost && this.#now() - this.#renewedAtMs < this.#options.leaseMs * (1 - MARGIN);
  }

  /** Renews now. True when the claim is surely ours. */
  async renew(): Promise<boolean> {
    const sentMs = this.#now();
    try {
      const outcome = await this.#options.queue.renew(this.#options.claim, this.#progress);
      if (outcome === 'done') this.#renewedAtMs = sentMs;
      else this.#lose();
    } catch (error) {
      // Unknown, not lost: `isSafe` decides.
      this.#options.logger.repeated('a lease could not be renewed', { error });
    }
    return this.isSafe;
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #lose(): void {
    if (this.#lost || this.#stopped) return;
    this.#lost = true;
    this.#options.onLost();
  }

  #schedule(): void {
    const { renewMs } = this.#options;
    const dueMs = this.#isWatched ? Math.min(renewMs, WATCHED_RENEW_MS) : renewMs;
    const jitteredMs = dueMs * (0.9 + Math.random() * 0.2);
    // There is one timer, also where the pace changes while a renewal is under way.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#renewAgain(), jitteredMs);
  }

  async #renewAgain(): Promise<void> {
    await this.renew();
    if (!this.#stopped && !this.#lost) this.#schedule();
  }
}
