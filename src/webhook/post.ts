/** One POST: no redirects, a deadline for all of it, and no more of the answer than a log line needs. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';

export interface PostOptions {
  readonly url: URL;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly lookup?: LookupFunction;
}

export interface PostAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

/** What is read of an answer's body; a receiver that sends for ever is cut off. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** @throws what the network says; a timeout is a `TimeoutError` */
export async function post({ url, body, headers, timeoutMs, lookup }: PostOptions): Promise<PostAnswer> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const bytes = Buffer.from(body);
  const { promise, resolve, reject } = Promise.withResolvers<PostAnswer>();
  const outgoing = request(url, {
    method: 'POST',
    // A connection of its own: one that is kept alive would go to an address that was checked for another name.
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
    headers: { ...headers, 'content-length': String(bytes.length) },
    ...(lookup === undefined ? {} : { lookup }),
  });
  outgoing.on('error', (error) => reject(timeoutOr(error, timeoutMs)));
  outgoing.on('response', (incoming) => {
    const answer = { status: incoming.statusCode ?? 0, retryAfter: incoming.headers['retry-after'] };
    let sizeBytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_ANSWER_BYTES) outgoing.destroy();
    });
    // The status says it all, however the body ends.
    incoming.on('close', () => resolve(answer));
    incoming.on('error', () => resolve(answer));
  });
  outgoing.end(bytes);
  return promise;
}

function timeoutOr(error: Error, timeoutMs: number): Error {
  const isTimeout = error.name === 'TimeoutError' || (error.cause as Error | undefined)?.name === 'TimeoutError';
  return isTimeout ? new Error(`no answer within ${timeoutMs / 1000} s`, { cause: error }) : error;
}
