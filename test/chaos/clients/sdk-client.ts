/** OpenAI's own SDK, which waits for one answer. It decides what is repeated, and when. What it gets is written down below it. */
import OpenAI from 'openai';
import type { Asking } from './asking.ts';
import { isKeyed, type Outcome } from './client-record.ts';
import { imagesBody, imagesOutcome, noteIds, OPENAI_PATH } from './openai-answer.ts';
import { type Got, send, type Sending } from './send.ts';

/** A request that is repeated so often and has no answer is a finding. */
export const MAX_RETRIES = 60;

export async function askSdk(asking: Asking, { timeoutMs }: { readonly timeoutMs: number }): Promise<Outcome> {
  const { request, secret: apiKey } = asking;
  let answer: Got | undefined;
  const sdk = new OpenAI({
    baseURL: 'http://chosen.below/v1',
    apiKey,
    maxRetries: MAX_RETRIES,
    timeout: timeoutMs,
    fetch: async (_url, init) => {
      answer = await send(asking, sendingOf(init));
      noteIds(answer);
      return new Response(new Uint8Array(answer.bytes), { status: answer.status, headers: shorter(answer.headers) });
    },
  });
  const headers = isKeyed(request) ? { 'idempotency-key': `chaos ${request.number}` } : {};
  try {
    await sdk.images.generate(imagesBody(request), { headers });
  } catch (error) {
    const { status, code } = answer?.attempt ?? {};
    if (!(error instanceof OpenAI.APIError) || status === undefined) throw error;
    return { kind: 'error', status, code };
  }
  return imagesOutcome(answer as Got);
}

/** What the SDK sends, for a server that is chosen for each attempt. */
export function sendingOf(init: RequestInit | undefined): Sending {
  const headers = Object.fromEntries(new Headers(init?.headers));
  const { body, signal } = init ?? {};
  return {
    path: OPENAI_PATH,
    headers,
    body: typeof body === 'string' ? body : '',
    signal: signal ?? undefined,
    retryCount: Number(headers['x-stainless-retry-count'] ?? 0),
  };
}

const LONGEST_PAUSE_MS = 5000;

/** The run must end: the SDK would wait as long as the server says, at most a minute. */
export function shorter(answered: Headers): Headers {
  const headers = new Headers(answered);
  const pauseMs = Number(headers.get('retry-after') ?? 0) * 1000;
  if (pauseMs > LONGEST_PAUSE_MS) headers.set('retry-after-ms', String(LONGEST_PAUSE_MS));
  return headers;
}
