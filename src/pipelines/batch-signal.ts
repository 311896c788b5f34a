/** One signal for all who share a pass: it aborts when the last job that wanted the result is cancelled. */

interface Sharer {
  readonly job: { readonly signal: AbortSignal };
  /** It has its result, or failed. */
  readonly ended: boolean;
}

/** Disposing it takes its listeners off the jobs' signals, which live longer. */
export class BatchSignal implements Disposable {
  readonly #sharers: readonly Sharer[];
  readonly #controller = new AbortController();
  readonly #listener = (): void => {
    if (this.#sharers.every(({ job, ended }) => ended || job.signal.aborted)) this.#controller.abort();
  };

  constructor(sharers: readonly Sharer[]) {
    this.#sharers = [...new Set(sharers)];
    for (const { job } of this.#sharers) job.signal.addEventListener('abort', this.#listener);
    this.#listener();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const { job } of this.#sharers) job.signal.removeEventListener('abort', this.#listener);
  }
}
