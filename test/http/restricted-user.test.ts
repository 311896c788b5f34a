/**
 * A server and a worker whose MongoDB user may make no collection of the service's own: no `Idempotency-Key` and no previews, and everything else works at
 * every API.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, silentLogger } from '../../src/observability/logger.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { PASSWORD, restrictedUri } from '../servers/restricted-user.ts';
import { until } from '../worker/place.ts';
import { call, create, createAndWait } from './jobs/client.ts';
import { connect, imagesOf, textOf } from './mcp/connect.ts';
import { serve, type Served } from './served.ts';

const binary = await findMongod();
const ENDS = { timeout: 110_000, ...(binary === undefined ? { skip: NO_MONGOD } : {}) };
const IMAGES = '/v1/images/generations';
const KEY = { 'idempotency-key': 'k' };

async function jobsOf({ queue }: Served): Promise<number> {
  const { pending, processing, completed, error } = await queue.counts();
  return pending + processing + completed + error;
}

test(
  'without rights beside the prompts a key is answered 501, there are no previews, and every API works',
  ENDS,
  async (t) => {
    const said: string[] = [];
    const note = (message: string, fields?: object): number => said.push(`${message} ${JSON.stringify(fields)}`);
    const logger: Logger = { ...silentLogger, warning: note, error: note, repeated: note };
    const mongoUri = await restrictedUri(t, binary as string);
    const served = await serve(t, { mongoUri, logger, worker: { logger }, front: { cancelLostAfterMs: 200 } });
    const small = { prompt: 'a fox', size: '64x64', steps: 2 };
    const job = { text: 'a fox', width: 64, height: 64, num_inference_steps: 2 };
    const post = (path: string, json: unknown, headers = {}) => call(served, path, { method: 'POST', json, headers });

    for (const [path, body] of [
      [IMAGES, small],
      ['/api/v1/prompts', job],
      ['/sdapi/v1/txt2img', { prompt: 'a fox' }],
      ['/api/generate', { model: 'instant', prompt: 'a fox' }],
    ] as const) {
      const { status, text } = await post(path, body, KEY);
      assert.equal(status, 501, `${path}: ${text}`);
      assert.match(text, /Idempotency-Key/, path);
    }
    assert.equal(await jobsOf(served), 0, 'nothing was added');

    const { status, text } = await post(IMAGES, small);
    assert.deepEqual([status, /b64_json/.test(text)], [200, true]);
    const retried = await post(IMAGES, small, { 'x-stainless-retry-count': '1' });
    assert.equal(retried.status, 200, 'a retry that finds nothing makes a job');
    const stream = await post(IMAGES, { ...small, prompt: 'a [slow 300]', steps: 8, stream: true, partial_images: 2 });
    assert.match(stream.text, /^event: image_generation\.completed$/m);
    assert.doesNotMatch(stream.text, /partial_image\b/);

    const { id } = await createAndWait(served, job);
    const watched = String((await create(served, { ...job, text: 'a [slow 200]' })).body['id']);
    const events = await call(served, `/api/v1/prompts/${watched}/events`);
    assert.match(events.text, /^event: completed$/m);
    assert.doesNotMatch(events.text, /^event: preview$/m);
    assert.equal((await call(served, `/api/v1/prompts?limit=1`)).status, 200);
    assert.equal((await call(served, `/api/v1/prompts/${String(id)}`, { method: 'DELETE' })).status, 204);
    const slow = { ...job, text: 'a [slow 1000]', num_inference_steps: 100 };
    const cancelled = String((await create(served, slow)).body['id']);
    assert.equal((await post(`/api/v1/prompts/${cancelled}/cancel`, {})).status, 200);
    await until(async () => (await served.queue.show(cancelled))?.status === 'error');
    // The document has its time; without an index a process looks seldom.
    const timed = String((await create(served, slow, { headers: { 'cancel-after': '5s' } })).body['id']);
    await sleep(5500);
    await serve(t, { mongoUri, worker: false });
    await until(async () => (await served.queue.show(timed))?.status === 'error');

    const drawing = post('/sdapi/v1/txt2img', { prompt: 'a [slow 200]', width: 64, height: 64, steps: 10 });
    let previews = 0;
    await until(async () => {
      const { body } = await call(served, '/sdapi/v1/progress');
      if (body['current_image'] !== null) previews++;
      return Number(body['progress']) > 0.3;
    });
    assert.equal((await drawing).status, 200);
    assert.equal(previews, 0);
    assert.equal((await post('/sdapi/v1/options', { samples_format: 'png' })).status, 200);

    assert.match((await post('/api/generate', { model: 'instant', prompt: 'a fox', stream: false })).text, /"image"/);
    const client = await connect(t, served.url, { revision: '2025' });
    const answer = await client.callTool({
      name: 'generate_image',
      arguments: { prompt: 'a fox', num_inference_steps: 2 },
    });
    assert.equal(imagesOf(answer).length, 1, textOf(answer));

    const leaving = new AbortController();
    const body = JSON.stringify({ ...small, prompt: 'a [slow 1000] that nobody waits for', steps: 100 });
    const lost = fetch(`${served.url}${IMAGES}`, { method: 'POST', body, signal: leaving.signal }).catch(
      () => undefined,
    );
    let left: string | undefined;
    await until(
      async () => (left = (await served.queue.list({ limit: 1, status: 'processing' }))[0]?.id) !== undefined,
    );
    leaving.abort();
    await lost;
    await until(async () => (await served.queue.show(left ?? ''))?.status === 'error');
    assert.ok(!said.join().includes(PASSWORD));
  },
);
