/** The texts of a stream while its job runs. Where nothing happens, it shows a sign of life. */
import { pause } from '../../lib/pause.ts';

/** Proxies and `fetch` close a connection on which nothing comes; the strictest known ones after 60 seconds. */
export const SIGN_OF_LIFE_MS = 10_000;
/** A slow reader misses the oldest. */
const MOST_WAITING = 64;

export interface FeedOptions {
  /** The text for times in which nothing happens. */
  readonly signOfLife: () => string;
  readonly everyMs: number;
}

export class EventFeed {
  #waiting: string[] = [];
  #wake: () => void = () => undefined;

  push(text: string): void {
    this.#waiting.push(text);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
    this.#wake();
  }

  /** Everything that is pushed until `end` has settled, whichever way. */
  async *until(end: Promise<unknown>, { signOfLife, everyMs }: FeedOptions): AsyncGenerator<string> {
    let isOver = false;
    const over = end.then(
      () => undefined,
      () => undefined,
    );
    void over.then(() => {
      isOver = true;
      this.#wake();
    });
    for (;;) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) yield next;
      if (isOver) return;
      if (!(await this.#happensWithin(everyMs, () => isOver))) yield signOfLife();
    }
  }

  /** @returns false after `ms` in which nothing happened */
  async #happensWithin(ms: number, isOver: () => boolean): Promise<boolean> {
    const timer = new AbortController();
    this.#wake = () => timer.abort();
    if (this.#waiting.length > 0 || isOver()) return true;
    await pause(ms, timer.signal);
    return timer.signal.aborted;
  }
}
