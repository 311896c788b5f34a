/**
 * Documents that the server would not let be changed at all (16 MB already, or a validator that is not ours): they are passed over instead of
 * standing at the head of the queue for ever. Bounded, and tried again after a while.
 */
import { BSON } from 'mongodb';
import type { Logger } from '../../observability/logger.ts';

const MAX_ENTRIES = 1000;
const RETRY_AFTER_MS = 10 * 60_000;

interface Entry {
  readonly id: unknown;
  readonly untilMs: number;
}

export class SkipList {
  readonly #entries = new Map<string, Entry>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Their `_id`s, for `$nin`. */
  get ids(): readonly unknown[] {
    const now = performance.now();
    for (const [key, { untilMs }] of this.#entries) if (untilMs <= now) this.#entries.delete(key);
    return Array.from(this.#entries.values(), ({ id }) => id);
  }

  add(id: unknown, reason: string): void {
    const key = BSON.EJSON.stringify(id, { relaxed: false }) ?? 'undefined';
    if (!this.#entries.has(key))
      this.#logger.warning('a prompt cannot be changed in the database and is passed over', { prompt_id: key, reason });
    this.#entries.set(key, { id, untilMs: performance.now() + RETRY_AFTER_MS });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
  }
}
