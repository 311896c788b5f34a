/** A pause that somebody else may end, as when there is something to do before its time. */

/** Leaves no listener and no timer behind. */
export class EndablePause {
  readonly #waiting = new Set<() => void>();
  #isEnded = false;

  /** Ends the pause, or the next one where there is none now. */
  end(): void {
    this.#isEnded = this.#waiting.size === 0;
    for (const resolve of this.#waiting) resolve();
  }

  /** Resolves after `ms`, when it is ended, or when the signal is aborted; never rejects. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    const isEnded = this.#isEnded;
    this.#isEnded = false;
    if (isEnded || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = (): void => resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', stop);
    this.#waiting.add(stop);
    await promise;
    this.#waiting.delete(stop);
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
