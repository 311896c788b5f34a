/** Shows that the worker is alive: at every turn of its loop, and each second of a wait that has an end of its own. */

const INTERVAL_MS = 1000;

export class Alive implements Disposable {
  readonly #tell: () => void;
  readonly #timer: NodeJS.Timeout;
  /** Waits under way that have an end of their own. */
  #waits = 0;

  constructor(tell: () => void) {
    this.#tell = tell;
    this.#timer = setInterval(() => this.#waits > 0 && this.now(), INTERVAL_MS);
  }

  now(): void {
    this.#tell();
  }

  /** However long it takes, the worker is alive. @param promise ends by itself */
  async during<T>(promise: Promise<T>): Promise<T> {
    this.#waits++;
    try {
      return await promise;
    } finally {
      this.#waits--;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
