/** A connection that breaks while the answer is written: the retry gets the images that are there, at every API that waits. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { Agent, request as httpRequest, type RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { readUntil, sendRaw } from './raw-request.ts';
import { serve, type Served } from './served.ts';

const SMALL = { width: 8, height: 8, steps: 2 };
const RETRY = { 'x-stainless-retry-count': '1' };

async function jobCount({ queue }: Served): Promise<number> {
  return (await queue.list({ limit: 100 })).length;
}

const DOORS: readonly (readonly [name: string, path: string, body: object])[] = [
  ['OpenAI’s API', '/v1/images/generations', { prompt: 'a fox', ...SMALL }],
  ['a stream of OpenAI’s API', '/v1/images/generations', { prompt: 'a fox', ...SMALL, stream: true }],
  ['the web UI’s API', '/sdapi/v1/txt2img', { prompt: 'a fox', ...SMALL }],
  ['Ollama’s API', '/api/generate', { prompt: 'a fox', ...SMALL, stream: false }],
  ['a stream of Ollama’s API', '/api/generate', { prompt: 'a fox', ...SMALL }],
];

for (const [name, path, body] of DOORS)
  test(`${name}: an answer that a broken connection lost is answered to the retry, and nothing is generated anew`, async (t) => {
    const served = await serve(t);
    const socket = await sendRaw(t, served.url, { method: 'POST', path, body });
    // The whole image is in the buffers by then.
    const head = await readUntil(socket, 'iVBORw0KGgo');
    const id = /^text2img-id: (.+)\r$/im.exec(head)?.[1];
    socket.resetAndDestroy();
    const again = await fetch(`${served.url}${path}`, { method: 'POST', headers: RETRY, body: JSON.stringify(body) });
    assert.deepEqual([again.status, again.headers.get('text2img-id')], [200, id]);
    assert.match(await again.text(), /iVBORw0KGgo/);
    assert.equal(await jobCount(served), 1);
  });

test('an answer that arrived is not given to a later retry of the same body', async (t) => {
  const served = await serve(t);
  const [, path, body] = DOORS[0] ?? assert.fail();
  const ending = { agent: false, headers: { connection: 'close' } } as const;
  const first = await post(`${served.url}${path}`, body, ending);
  // Its connection is closed, and the offer is withdrawn in a moment.
  await sleep(500);
  const again = await fetch(`${served.url}${path}`, { method: 'POST', headers: RETRY, body: JSON.stringify(body) });
  assert.equal(again.status, 200);
  assert.notEqual(again.headers.get('text2img-id'), first);
  assert.equal(await jobCount(served), 2);
});

test('an answer arrived when its connection asks for more, however many come in a second', async (t) => {
  const served = await serve(t);
  const warnings: string[] = [];
  const onWarning = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const [, path] = DOORS[0] ?? assert.fail();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ids: string[] = [];
  for (let index = 0; index < 15; index++)
    ids.push(await post(`${served.url}${path}`, { prompt: `fox ${index}`, ...SMALL }, { agent }));
  const again = await post(`${served.url}${path}`, { prompt: 'fox 13', ...SMALL }, { agent, headers: RETRY });
  assert.ok(!ids.includes(again));
  // Node warns in the next turn.
  await setImmediate();
  assert.deepEqual(warnings, []);
});

/** @returns the job's id */
async function post(url: string, body: object, options: RequestOptions): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = httpRequest(url, { method: 'POST', ...options }, (response) => {
    response.resume();
    response.once('end', () => resolve(String(response.headers['text2img-id'])));
  });
  request.once('error', reject);
  request.end(JSON.stringify(body));
  return promise;
}

test('an answer that says that its images cannot be read now leaves them to the retry', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-lost-answers-'));
  // The front reads through a folder of its own, which is a circle of links at first.
  const seen = join(folder, 'seen');
  await mkdir(seen);
  await symlink('generated', join(seen, 'generated'));
  const served = await serve(t, { folder, front: { store: new FileImageStore(seen) } });
  // After it has stopped: a worker whose queue is removed fails.
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [, path, body] = DOORS[0] ?? assert.fail();
  const ask = (headers = {}) => fetch(`${served.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const failed = await ask();
  assert.deepEqual([failed.status, failed.headers.get('x-should-retry')], [503, 'true']);
  await failed.text();
  await rm(join(seen, 'generated'));
  await symlink(join(folder, 'generated'), join(seen, 'generated'));
  const again = await ask(RETRY);
  assert.deepEqual([again.status, again.headers.get('text2img-id')], [200, failed.headers.get('text2img-id')]);
  assert.equal(await jobCount(served), 1);
});
