/**
 * All waits of this process. One reader looks at the jobs that anybody waits for, in one read, and tells each waiter what changed. A replica set
 * reports changes itself, and the embedded queue those of this process. That is a hint only: every job is read again from time to time, and the status that is answered always comes from a read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../observability/logger.ts';
import type { FollowedJob, PromptQueue } from '../../queue/prompt-queue.ts';

/** Gets each job whenever it was read; undefined: there is no such document. */
export interface Waiter {
  onRead(id: string, job: FollowedJob | undefined): void;
  /** Progress is wanted, for which there is no hint. */
  readonly isWatched?: boolean;
}

export interface WaitersOptions {
  readonly queue: Pick<PromptQueue, 'follow' | 'watchChanges'>;
  readonly logger: Logger;
}

/** Measured in node: 500 ids in one read of a standalone take 11 ms. */
const [FEW, FEW_MS, MANY_MS] = [100, 250, 1000];
/** With hints, only for what they miss. */
const HINTED_MS = 5000;
/** Progress of a watched job is renewed once a second. */
const WATCHED_MS = 500;
/** Hints that come together are one read. */
const GATHER_MS = 5;
/** A queue that cannot report changes is asked again so often: a standalone may have become a replica set. */
const ASK_AGAIN_MS = 60_000;

export class Waiters implements AsyncDisposable {
  readonly #options: WaitersOptions;
  readonly #waiting = new Map<string, Set<Waiter>>();
  /** Ids that changed, or that somebody began to wait for. */
  readonly #due = new Set<string>();
  readonly #ended = new AbortController();
  #reading: Promise<void> | undefined;
  #watching: Promise<void> | undefined;
  #isHinted = false;
  #wake: (() => void) | undefined;

  constructor(options: WaitersOptions) {
    this.#options = options;
  }

  /** Ids that anybody waits for. */
  get size(): number {
    return this.#waiting.size;
  }

  add(id: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiters.add(waiter));
    this.#due.add(id);
    this.#start();
    this.#watching ??= this.#watch();
    this.#wake?.();
  }

  delete(id: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(id);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    this.#wake?.();
    await Promise.all([this.#reading, this.#watching]);
  }

  #start(): void {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
      if (this.#waiting.size > 0 && !this.#ended.signal.aborted) this.#start();
    });
  }

  /** While anybody waits. */
  async #read(): Promise<void> {
    const { signal } = this.#ended;
    let readAllMs = Number.NEGATIVE_INFINITY;
    while (this.#waiting.size > 0 && !signal.aborted) {
      const isAll = performance.now() - readAllMs >= this.#pauseMs();
      if (isAll) readAllMs = performance.now();
      await this.#readOnce(isAll ? [...this.#waiting.keys()] : this.#changed());
      if (this.#due.size > 0) await sleep(GATHER_MS);
      else await this.#untilDue(readAllMs + this.#pauseMs() - performance.now());
    }
  }

  #changed(): readonly string[] {
    return [...this.#due, ...this.#watched()].filter((id) => this.#waiting.has(id));
  }

  #watched(): readonly string[] {
    if (!this.#isHinted) return [];
    return [...this.#waiting].filter(([, waiters]) => isAnyWatched(waiters)).map(([id]) => id);
  }

  async #readOnce(ids: readonly string[]): Promise<void> {
    this.#due.clear();
    if (ids.length === 0) return;
    try {
      const jobs = await this.#options.queue.follow([...new Set(ids)]);
      for (const id of ids) for (const waiter of this.#waiting.get(id) ?? []) waiter.onRead(id, jobs.get(id));
    } catch (error) {
      this.#options.logger.repeated('the queue could not be read for the requests that wait', { error });
    }
  }

  #pauseMs(): number {
    if (this.#isHinted) return HINTED_MS;
    return this.#waiting.size <= FEW ? FEW_MS : MANY_MS;
  }

  async #untilDue(ms: number): Promise<void> {
    const isWatched = this.#isHinted && this.#watched().length > 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.max(0, isWatched ? Math.min(ms, WATCHED_MS) : ms));
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }

  /** Until the end of the process: a watch costs one cursor. */
  async #watch(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await this.#options.queue.watchChanges({
        signal,
        onChange: (id) => this.#note(id),
        onGap: () => {
          this.#isHinted = true;
          for (const id of this.#waiting.keys()) this.#note(id);
        },
      });
      this.#isHinted = false;
      await sleep(ASK_AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #note(id: string): void {
    if (!this.#waiting.has(id)) return;
    this.#due.add(id);
    this.#wake?.();
  }
}

function isAnyWatched(waiters: ReadonlySet<Waiter>): boolean {
  for (const { isWatched } of waiters) if (isWatched === true) return true;
  return false;
}
