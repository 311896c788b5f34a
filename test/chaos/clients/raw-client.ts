/** Raw requests to OpenAI's route, which do what no SDK does. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Asking } from './asking.ts';
import type { Outcome } from './client-record.ts';
import { type ImagesBody, imagesBody, imagesOutcome, noteIds, OPENAI_PATH } from './openai-answer.ts';
import { MAX_RETRIES } from './sdk-client.ts';
import { pauseMs, send, startAttempt } from './send.ts';

/** One piece of an answer, about 64 kB. */
const PIECE_PAUSE_MS = { small: 100, large: 15 };

/** As the SDK repeats, but each answer is taken bit by bit, and late. @param of small answers fit into the sockets' buffers, large ones do not */
export async function readSlowly(asking: Asking, of: 'small' | 'large'): Promise<Outcome> {
  const size: Partial<ImagesBody> = of === 'small' ? {} : { size: '1024x1024', n: 2 };
  const body = JSON.stringify(imagesBody(asking.request, size));
  for (let retryCount = 0; ; retryCount++) {
    const headers: Record<string, string> = retryCount === 0 ? {} : { 'x-stainless-retry-count': String(retryCount) };
    const read = (response: Response): Promise<Buffer> => slowBody(response, PIECE_PAUSE_MS[of]);
    const got = await send(asking, { path: OPENAI_PATH, headers, body, retryCount, read }).catch(() => undefined);
    if (got !== undefined) {
      noteIds(got);
      if (got.status < 400) return imagesOutcome(got);
      const isFinal = got.headers.get('x-should-retry') === 'false';
      if (isFinal || retryCount >= MAX_RETRIES) return { kind: 'error', status: got.status, code: got.attempt.code };
    }
    await sleep(pauseMs(asking, got));
  }
}

/** It breaks the connection off, and never comes back. */
export async function leave(asking: Asking): Promise<Outcome> {
  const { random, request } = asking;
  const signal = AbortSignal.timeout(Math.round(random.between(50, 2500)));
  const body = JSON.stringify(imagesBody(request));
  await send(asking, { path: OPENAI_PATH, body, signal, retryCount: 0 }).then(noteIds, () => undefined);
  return { kind: 'left' };
}

/** A part of the body, and then nothing more. */
export async function breakUpload({ pickServer, random, request, secret }: Asking): Promise<Outcome> {
  const server = pickServer();
  const attempt = startAttempt(request, { server, retryCount: 0 });
  const body = JSON.stringify(imagesBody(request));
  const socket = connect(Number(new URL(server ?? 'http://127.0.0.1:1').port), '127.0.0.1');
  // The server is dead, or dies meanwhile.
  socket.on('error', () => undefined);
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  if (isOpen) {
    const fields = [
      'host: a',
      `authorization: Bearer ${secret}`,
      'content-type: application/json',
      `x-request-id: ${attempt.requestId}`,
      `content-length: ${body.length}`,
    ];
    const head = `POST ${OPENAI_PATH} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`;
    // All but the last bracket: what came would be a whole request but for it.
    socket.write(head + body.slice(0, random.chance(0.5) ? -1 : random.below(body.length)));
    await sleep(random.between(0, 1000));
    if (random.chance(0.5)) socket.resetAndDestroy();
    else socket.destroy();
  }
  attempt.endedMs = performance.now();
  return { kind: 'left' };
}

async function slowBody(response: Response, pieceMs: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await sleep(300);
  for await (const part of response.body ?? []) {
    parts.push(part);
    await sleep(pieceMs);
  }
  return Buffer.concat(parts);
}
