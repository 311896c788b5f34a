/**
 * One HTTP request up to the head of its answer. It settles in every case: an answer, an error, a connection that closes without a word, a switch of
 * protocols. It also settles after interim answers without end, a proxy that never makes its tunnel, the deadline, or the caller's signal.
 */
import { type Agent, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { omitUndefined } from './omit-undefined.ts';

export interface ExchangeOptions {
  readonly url: URL;
  readonly method?: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly agent: Agent;
  readonly lookup?: LookupFunction;
  /** Until the head is there: name, proxy, connection, request and all. */
  readonly headTimeoutMs: number;
  /** Ends it at once, the body of the answer included. */
  readonly signal?: AbortSignal | undefined;
}

/** 100, 102, 103: some servers send one or two. */
const MAX_INTERIM_ANSWERS = 16;

/** The answer with its body still to be read; the caller destroys what he does not read. @throws what the network says */
export async function exchange(options: ExchangeOptions): Promise<IncomingMessage> {
  const { url, method = 'GET', headers, body, agent, lookup, headTimeoutMs, signal } = options;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    method,
    agent,
    headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
    // Ends the making of a proxy's tunnel, which Node 24 goes on with after the request is destroyed.
    timeout: headTimeoutMs,
    ...omitUndefined({ lookup }),
  });
  const fail = (error: Error): void => {
    reject(error);
    request.destroy();
  };
  const timer = setTimeout(() => fail(new Error(`no answer within ${headTimeoutMs / 1000} s`)), headTimeoutMs);
  const onAbort = (): void => fail(abortedError(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  let interim = 0;
  request.on('information', () => {
    if (++interim > MAX_INTERIM_ANSWERS) fail(new Error(`more than ${MAX_INTERIM_ANSWERS} interim answers`));
  });
  request.on('upgrade', ({ statusCode }, socket) => {
    socket.destroy();
    fail(new Error(`the server answered ${statusCode ?? 101}: it wants another protocol`));
  });
  request.on('response', resolve);
  request.on('error', reject);
  request.on('close', () => {
    reject(new Error('the connection was closed without an answer'));
    signal?.removeEventListener('abort', onAbort);
  });
  request.end(body);
  try {
    const answer = await promise;
    // From here on it is the caller who knows how long a silence may last.
    request.setTimeout(0);
    return answer;
  } catch (error) {
    signal?.removeEventListener('abort', onAbort);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function abortedError(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('stopped');
}

/** Reads and forgets the rest of an answer, at most so much of it and for so long; then the connection is closed. Never throws. */
export async function discardRest(
  answer: IncomingMessage,
  { maxBytes, maxMs }: { readonly maxBytes: number; readonly maxMs: number },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, maxMs);
  let sizeBytes = 0;
  answer.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) resolve();
  });
  for (const event of ['end', 'close', 'error'] as const) answer.on(event, () => resolve());
  await promise;
  clearTimeout(timer);
  answer.destroy();
}
