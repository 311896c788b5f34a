/**
 * A deadline that really ends an HTTP request. The client library takes no AbortSignal. Its `timeout` option has no effect: its HTTP layer,
 * teeny-request 11, hands it to node-fetch 3, which has dropped it.
 * So Node itself reports every request of an attempt (`http.client.request.created`, found by its async context). When the attempt is over, its
 * open requests are destroyed. Otherwise a server that never answers would keep a socket open for ever, and the process could not end.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { TryTimeoutError } from './gcs-errors.ts';

interface Try {
  readonly requests: Set<ClientRequest>;
  isOver: boolean;
}

const currentTry = new AsyncLocalStorage<Try>();
let isSubscribed = false;

function subscribeOnce(): void {
  if (isSubscribed) return;
  isSubscribed = true;
  subscribe('http.client.request.created', (message) => {
    const mine = currentTry.getStore();
    if (mine === undefined) return;
    const { request } = message as { readonly request: ClientRequest };
    // The deadline came while the credentials were fetched: the request itself is not made any more.
    if (mine.isOver) request.destroy();
    mine.requests.add(request);
    request.once('close', () => mine.requests.delete(request));
  });
}

export interface TryOptions {
  /** How long nothing may happen. An attempt without progress may take this long. */
  readonly silenceMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** @param buffered bytes that were handed over and may still be on their way to the network, which nobody can see */
export type OnProgress = (buffered?: number) => void;

/** Half a Mbit/s. While the system sends what it has buffered, a slower connection looks like a broken one. */
const SLOWEST_BYTES_PER_MS = 64;
/** The most that systems buffer for one connection: Linux 4 MB to send and, on one machine, 6 MB to receive. */
const MAX_BUFFERED_BYTES = 10_000_000;

/**
 * Runs `action` until it is silent for too long: an upload may take long, as long as its bytes move. @param action is given what it calls for each
 * progress. @throws `TryTimeoutError` after a silence, the signal's reason when it is aborted; in both cases the requests that it has made are closed
 */
export async function withDeadline<T>(
  action: (onProgress: OnProgress) => Promise<T>,
  { silenceMs, signal }: TryOptions,
): Promise<T> {
  signal?.throwIfAborted();
  subscribeOnce();
  const mine: Try = { requests: new Set(), isOver: false };
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(new TryTimeoutError(`no answer within ${Math.ceil(silenceMs / 1000)} s`));
  let timer = setTimeout(giveUp, silenceMs);
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    // A late piece of an attempt that is over must not start the timer again.
    const onProgress: OnProgress = (buffered = 0) => {
      if (mine.isOver) return;
      clearTimeout(timer);
      timer = setTimeout(giveUp, silenceMs + Math.min(buffered, MAX_BUFFERED_BYTES) / SLOWEST_BYTES_PER_MS);
    };
    return await Promise.race([currentTry.run(mine, () => action(onProgress)), ended]);
  } catch (error) {
    for (const request of mine.requests) request.destroy();
    throw error;
  } finally {
    mine.isOver = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
