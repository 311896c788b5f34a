/** One POST: no redirects, a deadline until the head of the answer, and no more of its body than politeness asks for. */
import type { Agent } from 'node:http';
import type { LookupFunction } from 'node:net';
import { discardRest, exchange } from '../lib/http-exchange.ts';

export interface PostOptions {
  readonly url: URL;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** For this request only: a connection that is kept alive would go to an address that was checked for another name. */
  readonly agent: Agent;
  readonly lookup?: LookupFunction;
  readonly signal?: AbortSignal | undefined;
}

export interface PostAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

/** The head says it all. The body is read for a moment, so that a receiver which writes one does not see a broken connection. */
const REST = { maxBytes: 64 * 1024, maxMs: 1000 } as const;

/** @throws what the network says */
export async function post({ timeoutMs, body, ...rest }: PostOptions): Promise<PostAnswer> {
  const answer = await exchange({ ...rest, method: 'POST', body: Buffer.from(body), headTimeoutMs: timeoutMs });
  await discardRest(answer, REST);
  return { status: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'] };
}
