/** Clients of OpenAI's route: its own SDK, and raw requests that do what no SDK does. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import type { Asking } from './asking.ts';
import { isKeyed, type Outcome, type ReceivedImage } from './client-record.ts';
import { type Got, send, startAttempt } from './send.ts';

const PATH = '/v1/images/generations';
const BODY = { size: '256x256', response_format: 'b64_json' } as const;
/** A request that is repeated so often and has no answer is a finding. */
const MAX_RETRIES = 60;

/** The SDK decides what is repeated, and when. What it gets is written down below it. */
export async function askSdk(asking: Asking, { timeoutMs }: { readonly timeoutMs: number }): Promise<Outcome> {
  const { request } = asking;
  let answer: Got | undefined;
  const sdk = new OpenAI({
    baseURL: 'http://chosen.below/v1',
    apiKey: 'none is asked for',
    maxRetries: MAX_RETRIES,
    timeout: timeoutMs,
    fetch: async (_url, init) => {
      const headers = Object.fromEntries(new Headers(init?.headers));
      const { body, signal } = init ?? {};
      answer = await send(asking, {
        path: PATH,
        headers,
        body: typeof body === 'string' ? body : '',
        signal: signal ?? undefined,
        retryCount: Number(headers['x-stainless-retry-count'] ?? 0),
      });
      noteIds(answer);
      return new Response(new Uint8Array(answer.bytes), { status: answer.status, headers: answer.headers });
    },
  });
  const headers = isKeyed(request) ? { 'idempotency-key': `chaos ${request.number}` } : {};
  try {
    await sdk.images.generate({ model: 'gpt-image-1', prompt: request.texts[0] ?? '', ...BODY }, { headers });
  } catch (error) {
    const { status, code } = answer?.attempt ?? {};
    if (!(error instanceof OpenAI.APIError) || status === undefined) throw error;
    return { kind: 'error', status, code };
  }
  return imagesOutcome(answer as Got);
}

/** As the SDK repeats, but each answer is taken bit by bit, and late. */
export async function readSlowly(asking: Asking): Promise<Outcome> {
  const { random, request } = asking;
  const body = bodyOf(request.texts[0] ?? '');
  for (let retryCount = 0; ; retryCount++) {
    const headers: Record<string, string> = retryCount === 0 ? {} : { 'x-stainless-retry-count': String(retryCount) };
    const got = await send(asking, { path: PATH, headers, body, retryCount, read: slowBody }).catch(() => undefined);
    if (got !== undefined) {
      noteIds(got);
      if (got.status < 400) return imagesOutcome(got);
      const isFinal = got.headers.get('x-should-retry') === 'false';
      if (isFinal || retryCount >= MAX_RETRIES) return { kind: 'error', status: got.status, code: got.attempt.code };
    }
    await sleep(Number(got?.headers.get('retry-after') ?? random.between(0.3, 2)) * 1000);
  }
}

/** It breaks the connection off, and never comes back. */
export async function leave(asking: Asking): Promise<Outcome> {
  const { random, request } = asking;
  const signal = AbortSignal.timeout(Math.round(random.between(50, 2500)));
  await send(asking, { path: PATH, body: bodyOf(request.texts[0] ?? ''), signal, retryCount: 0 }).catch(
    () => undefined,
  );
  return { kind: 'left' };
}

/** A part of the body, and then nothing more. */
export async function breakUpload({ pickServer, random, request }: Asking): Promise<Outcome> {
  const server = pickServer();
  const attempt = startAttempt(request, { server, retryCount: 0 });
  const body = bodyOf(request.texts[0] ?? '');
  const socket = connect(Number(new URL(server ?? 'http://127.0.0.1:1').port), '127.0.0.1');
  // The server is dead, or dies meanwhile.
  socket.on('error', () => undefined);
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  if (isOpen) {
    const head = `POST ${PATH} HTTP/1.1\r\nhost: a\r\nx-request-id: ${attempt.requestId}\r\ncontent-length: ${body.length}\r\n\r\n`;
    // All but the last bracket: what came would be a whole request but for it.
    socket.write(head + body.slice(0, random.chance(0.5) ? -1 : random.below(body.length)));
    await sleep(random.between(0, 1000));
    if (random.chance(0.5)) socket.resetAndDestroy();
    else socket.destroy();
  }
  attempt.endedMs = performance.now();
  return { kind: 'left' };
}

function bodyOf(prompt: string): string {
  return JSON.stringify({ model: 'gpt-image-1', prompt, ...BODY });
}

async function slowBody(response: Response): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await sleep(300);
  for await (const part of response.body ?? []) {
    parts.push(part);
    await sleep(100);
  }
  return Buffer.concat(parts);
}

interface Answer {
  readonly id: string;
  readonly data: readonly { readonly b64_json: string }[];
}

function noteIds({ status, bytes, attempt }: Got): void {
  if (status < 400) attempt.ids = [(JSON.parse(bytes.toString()) as Answer).id];
}

function imagesOutcome({ bytes }: Got): Outcome {
  const { id, data } = JSON.parse(bytes.toString()) as Answer;
  const images = data.map(({ b64_json: text }, index): ReceivedImage => {
    return { id, index, sha256: sha256Of(Buffer.from(text, 'base64')) };
  });
  return { kind: 'images', images };
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
