/**
 * Clients that read their images slowly, or not at all: they hold little of the server's memory, and one that takes nothing any more is cut off. The
 * images are larger than what the system buffers for a connection, some 10 MB.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type RawRequest, readUntil, sendRaw } from '../raw-request.ts';
import { type ServeOptions, serve, type Served } from '../served.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 16 * MIB;
const SMALL = { width: 8, height: 8 };
const KEY = { 'idempotency-key': 'large' };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Large {
  readonly served: Served;
  readonly id: string;
  readonly png: Uint8Array;
}

/** A server with one completed job of OpenAI's API, whose image has been replaced by a large one. */
async function serveLarge(t: TestContext, options: ServeOptions = {}): Promise<Large> {
  const served = await serve(t, options);
  const body = JSON.stringify({ prompt: 'a', ...SMALL });
  for (const path of ['/v1/images/generations', '/sdapi/v1/txt2img'])
    await (await fetch(`${served.url}${path}`, { method: 'POST', headers: KEY, body })).text();
  const png = randomBytes(SIZE_BYTES);
  const jobs = await served.queue.list({ limit: 10 });
  for (const { id } of jobs) await replaceImage(served, id, png);
  return { served, id: jobs[0]?.id ?? '', png };
}

async function replaceImage({ queue, store }: Served, id: string, png: Uint8Array): Promise<void> {
  const { docKey } = (await queue.identify(id)) ?? assert.fail();
  const metadata = { runId: 'another', docKey, seed: 0, model: 'instant' };
  const object = { name: `generated/${id}.png`, png, metadata };
  assert.equal((await store.put(object, { mayReplace: async () => true })).outcome, 'replaced');
}

const READERS: readonly (readonly [name: string, requestOf: (id: string) => RawRequest])[] = [
  ['an image', (id) => ({ path: `/api/v1/prompts/${id}/images/0.png` })],
  ['a range of an image', (id) => ({ path: `/api/v1/prompts/${id}/images/0.png`, headers: { range: 'bytes=100-' } })],
  ['an answer of OpenAI’s API', () => ({ ...POST, path: '/v1/images/generations' })],
  ['an answer of the web UI’s API', () => ({ ...POST, path: '/sdapi/v1/txt2img' })],
];
const POST = { method: 'POST', headers: KEY, body: { prompt: 'a', ...SMALL } };

/** The least of several looks: what is collected is freed a moment later. */
async function bufferedBytes(): Promise<number> {
  let least = Infinity;
  for (let look = 0; look < 10; look++) {
    collect();
    await sleep(50);
    const { external, heapUsed } = process.memoryUsage();
    least = Math.min(least, external + heapUsed);
  }
  return least;
}

for (const [name, requestOf] of READERS)
  test(`ten readers that stop within ${name} hold less than three images in memory together`, async (t) => {
    const { served, id } = await serveLarge(t);
    const before = await bufferedBytes();
    const sockets = await Promise.all(Array.from({ length: 10 }, () => sendRaw(t, served.url, requestOf(id))));
    for (const socket of sockets) await readUntil(socket, '\r\n\r\n').then(() => socket.pause());
    await untilStill(served);
    const grown = (await bufferedBytes()) - before;
    assert.ok(grown < 3 * SIZE_BYTES, `${Math.round(grown / MIB)} MiB for ${sockets.length} readers`);
    for (const socket of sockets) assert.equal(socket.destroyed, false);
  });

/** Until no connection takes any more. */
async function untilStill({ app }: Served): Promise<void> {
  let last = -1;
  for (let round = 0; round < 50; round++) {
    const { promise, resolve } = Promise.withResolvers<number>();
    app.server.getConnections((_, count) => resolve(count));
    const now = process.memoryUsage().external + (await promise);
    if (Math.abs(now - last) < MIB / 4 && round > 5) return;
    last = now;
    await sleep(200);
  }
}

async function connections({ app }: Served): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  app.server.getConnections((_, count) => resolve(count));
  return promise;
}

for (const [name, requestOf] of READERS)
  test(`a reader that takes nothing of ${name} is cut off after the stated time`, {
    timeout: 120_000,
  }, async (t) => {
    const { served, id } = await serveLarge(t, { server: { stalledMs: 1000 } });
    // Those of the requests that made the image.
    const idle = await connections(served);
    const socket = await sendRaw(t, served.url, requestOf(id));
    while ((await connections(served)) <= idle) await sleep(10);
    assert.equal(socket.destroyed, false);
    while ((await connections(served)) > idle) await sleep(50);
  });

test('a reader that is slow and goes on gets the whole image, however long it takes', async (t) => {
  const { served, id, png } = await serveLarge(t, { server: { stalledMs: 2000 } });
  const socket = await sendRaw(t, served.url, {
    path: `/api/v1/prompts/${id}/images/0.png`,
    headers: { connection: 'close' },
  });
  const startedMs = performance.now();
  const all = Buffer.concat(await readSlowly(socket));
  assert.ok(performance.now() - startedMs > 4000, 'slower than the limit');
  const body = all.subarray(all.indexOf('\r\n\r\n') + 4);
  assert.ok(body.equals(png), `${body.length} bytes`);
});

async function readSlowly(socket: Socket): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of socket as AsyncIterable<Buffer>) {
    pieces.push(piece);
    // 16 MiB in pieces of 64 kB.
    await sleep(20);
  }
  return pieces;
}

test('an answer that is cut off in the middle is answered to the retry, and nothing is generated anew', async (t) => {
  const served = await serve(t, { server: { stalledMs: 1000 } });
  const path = '/v1/images/generations';
  const body = { prompt: 'a', ...SMALL };
  const first = await sendRaw(t, served.url, { method: 'POST', path, body });
  const id = /^text2img-id: (.+)\r$/im.exec(await readUntil(first, 'iVBORw0KGgo'))?.[1] ?? assert.fail();
  first.resetAndDestroy();
  // For the next attempt the image is large.
  await replaceImage(served, id, randomBytes(SIZE_BYTES));
  const retry = (n: number): RawRequest => ({
    method: 'POST',
    path,
    body,
    headers: { 'x-stainless-retry-count': String(n) },
  });
  const second = await sendRaw(t, served.url, retry(1));
  assert.match(await readUntil(second, 'b64_json'), new RegExp(`^text2img-id: ${id}\r$`, 'im'));
  second.pause();
  while ((await connections(served)) > 0) await sleep(50);
  const third = await sendRaw(t, served.url, retry(2));
  assert.match(await readUntil(third, 'b64_json'), new RegExp(`^text2img-id: ${id}\r$`, 'im'));
  assert.equal((await served.queue.list({ limit: 10 })).length, 1);
});
