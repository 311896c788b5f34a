/** The stages of a server that stops. The readiness check, new requests and waits ask it. */

export class Lifecycle {
  readonly #draining = new AbortController();
  readonly #closing = new AbortController();
  readonly #ending = new AbortController();

  /** Aborted: load balancers should send nothing more. Requests are still taken. */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /** Aborted: no request is taken any more. Those that wait go on. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Aborted: requests that still wait are answered with `shutting_down`. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  drain(): void {
    this.#draining.abort();
  }

  close(): void {
    this.#draining.abort();
    this.#closing.abort();
  }

  end(): void {
    this.close();
    this.#ending.abort();
  }
}
