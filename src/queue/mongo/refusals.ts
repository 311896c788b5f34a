/** The documents that the database refused to change in one pass of a walk, and how fast the walk may go on. */
import { BSON } from 'mongodb';
import { quote } from '../../lib/foreign-text.ts';
import { pause } from '../../lib/pause.ts';

/** Of what was refused so many are remembered: the first of a pass, which every look sees, and the latest. */
const FIRST_REMEMBERED = 256;
const LATEST_REMEMBERED = 4096;
/** At most 200 refusals a second. */
const REFUSAL_PAUSE_MS = 5;

export class Refusals {
  readonly #first = new Set<string>();
  readonly #latest = new Set<string>();
  #count = 0;
  #calmed = 0;

  /** In this pass, and since it ended. */
  get count(): number {
    return this.#count;
  }

  has(id: unknown): boolean {
    const key = keyOf(id);
    return this.#first.has(key) || this.#latest.has(key);
  }

  add(id: unknown): void {
    this.#count++;
    const key = keyOf(id);
    if (this.#first.size < FIRST_REMEMBERED) this.#first.add(key);
    else this.#latest.add(key);
    const [oldest] = this.#latest;
    if (this.#latest.size > LATEST_REMEMBERED && oldest !== undefined) this.#latest.delete(oldest);
  }

  clear(): void {
    this.#first.clear();
    this.#latest.clear();
    this.#count = 0;
    this.#calmed = 0;
  }

  /** Waits for the refusals since the last time, so that the server is not asked more often than it may be. */
  async calm(signal: AbortSignal | undefined): Promise<void> {
    const since = this.#count - this.#calmed;
    this.#calmed = this.#count;
    if (since > 0) await pause(since * REFUSAL_PAUSE_MS, signal);
  }
}

function keyOf(id: unknown): string {
  try {
    return BSON.EJSON.stringify(id, { relaxed: false }) ?? 'undefined';
  } catch {
    return quote(id, 1000);
  }
}
