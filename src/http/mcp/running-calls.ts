/**
 * The calls under way of clients that speak a revision of 2025 over HTTP. They take a call back with a message of its own, in another request. Session
 * and request id join the two. Nothing else is kept of a session, so any server of several can answer any request.
 */

/** Of a JSON-RPC request, whose kind counts: 1 is not "1". */
type RequestId = string | number;

interface Named {
  /** The name of the API key: no key takes back the calls of another. */
  readonly key: string | undefined;
  readonly session: string;
  readonly requestId: RequestId;
}

export class RunningCalls {
  readonly #running = new Map<string, AbortController>();

  /** The signal aborts when the client takes the call back. */
  begin(named: Named): { readonly signal: AbortSignal } & Disposable {
    const name = nameOf(named);
    const controller = new AbortController();
    this.#running.set(name, controller);
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        if (this.#running.get(name) === controller) this.#running.delete(name);
      },
    };
  }

  /** Does nothing where the call has ended, or is answered by another server. */
  takeBack(named: Named): void {
    this.#running.get(nameOf(named))?.abort();
  }

  get size(): number {
    return this.#running.size;
  }
}

function nameOf({ key, session, requestId }: Named): string {
  return JSON.stringify([key ?? null, session, requestId]);
}
