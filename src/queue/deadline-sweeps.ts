/**
 * Ends jobs that have not ended by the time that their request set. Every server and every worker looks, so that any one of them that lives is enough. The
 * queue's clock decides; this process only looks at about the right moment.
 */
import { EndablePause } from '../lib/endable-pause.ts';
import type { Logger } from '../observability/logger.ts';
import type { PromptQueue } from './prompt-queue.ts';

export interface DeadlineSweepsOptions {
  readonly queue: Pick<PromptQueue, 'endOverdue'>;
  readonly logger: Logger;
  /** Ids of jobs that this process ended. */
  readonly onEnded?: (ids: readonly string[]) => void;
}

/** Between two looks. A job whose time comes sooner is looked for then. */
const SWEEP_MS = 5000;
/** Before a claim a look that is so old will do. */
const FRESH_MS = 1000;
const SHORTEST_MS = 20;
/** After a look that failed. */
const AFTER_FAILURE_MS = 10_000;

export class DeadlineSweeps implements AsyncDisposable {
  readonly #options: DeadlineSweepsOptions;
  readonly #ended = new AbortController();
  readonly #pause = new EndablePause();
  readonly #sweeping: Promise<void>;
  #looking: Promise<void> | undefined;
  #lookedMs = -Infinity;
  /** When the next time is over, as far as this process knows. */
  #dueMs = Infinity;
  #hasFailed = false;

  /** Looks until it is disposed. */
  constructor(options: DeadlineSweepsOptions) {
    this.#options = options;
    this.#sweeping = this.#sweepOn();
  }

  /** Before a claim: looks, unless it has looked a moment ago and no time is over since. Never rejects. */
  async look(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs < FRESH_MS && nowMs < this.#dueMs) return;
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** A job was added whose time is over then. */
  expect(afterMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, performance.now() + afterMs);
    this.#pause.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#sweeping;
  }

  async #sweepOn(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await this.look();
      const nowMs = performance.now();
      const nextMs = this.#hasFailed
        ? this.#lookedMs + AFTER_FAILURE_MS
        : Math.min(this.#lookedMs + SWEEP_MS, this.#dueMs);
      await this.#pause.pause(Math.max(SHORTEST_MS, nextMs - nowMs), signal);
    }
  }

  async #lookNow(): Promise<void> {
    const { queue, logger, onEnded } = this.#options;
    const { signal } = this.#ended;
    this.#dueMs = Infinity;
    try {
      const { ended, nextMs } = await queue.endOverdue({ signal });
      this.#hasFailed = false;
      if (nextMs !== undefined) this.#dueMs = Math.min(this.#dueMs, performance.now() + nextMs);
      if (ended.length === 0) return;
      logger.info('jobs are cancelled: they had not ended by the time that their requests set', { prompt_ids: ended });
      onEnded?.(ended);
    } catch (error) {
      this.#hasFailed = true;
      if (!signal.aborted) logger.repeated('jobs whose time is over could not be looked for', { error });
    } finally {
      this.#lookedMs = performance.now();
    }
  }
}
