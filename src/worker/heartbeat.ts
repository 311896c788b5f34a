/**
 * Keeps one claim alive while its document is drawn and stored, and knows when it may no longer be ours: a worker that cannot reach the
 * queue, or was stopped for longer than its lease, must not publish.
 */
import type { Logger } from '../observability/logger.ts';
import type { ClaimedPrompt, JobProgress, PromptQueue } from '../queue/prompt-queue.ts';

export interface HeartbeatOptions {
  readonly queue: PromptQueue;
  readonly claim: ClaimedPrompt;
  readonly leaseMs: number;
  readonly beatMs: number;
  /** Taken before the claim was asked for. */
  readonly claimedAtMs: number;
  readonly logger: Logger;
  /** Called once, when the queue says that the claim is no longer ours. */
  readonly onLost: () => void;
  /** A monotonic clock. */
  readonly now?: () => number;
}

/** Of the lease this share is left unused, for the time between the last look at the clock and the write. */
const MARGIN = 0.1;

export class Heartbeat implements Disposable {
  readonly #options: HeartbeatOptions;
  readonly #now: () => number;
  #lastGoodMs: number;
  #progress: JobProgress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lost = false;
  #stopped = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#lastGoodMs = options.claimedAtMs;
    this.#schedule();
  }

  /** Goes along with the next beat. */
  set progress(progress: JobProgress) {
    this.#progress = progress;
  }

  get isLost(): boolean {
    return this.#lost;
  }

  /** True while the lease surely runs by this machine's clock, counted from when the last good beat was sent. */
  get isSafe(): boolean {
    return !this.#lost && this.#now() - this.#lastGoodMs < this.#options.leaseMs * (1 - MARGIN);
  }

  /** Beats now. True when the claim is surely ours. */
  async renew(): Promise<boolean> {
    const sentMs = this.#now();
    try {
      const outcome = await this.#options.queue.renew(this.#options.claim, this.#progress);
      if (outcome === 'done') this.#lastGoodMs = sentMs;
      else this.#lose();
    } catch (error) {
      // Unknown, not lost: the fence decides.
      this.#options.logger.warning('a heartbeat failed', {
        error: error instanceof Error ? error.message : String(error),
      });
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
    const jittered = this.#options.beatMs * (0.9 + Math.random() * 0.2);
    this.#timer = setTimeout(() => void this.#beat(), jittered);
  }

  async #beat(): Promise<void> {
    await this.renew();
    if (!this.#stopped && !this.#lost) this.#schedule();
  }
}
