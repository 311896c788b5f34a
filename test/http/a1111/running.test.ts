/** What the web UI's API says of requests that run, and how they end: progress, preview, interrupt, skip, and clients that leave. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Served } from '../served.ts';
import { basic, call, imagesOf, infoOf, type Json, SMALL, served, txt2img } from './calls.ts';

test('interrupt ends the caller’s own requests, which answer 200 with what is done', async (t) => {
  const server = await served(t, { keys: ['ann', 'bob'] });
  const [ann, bob] = ['ann', 'bob'].map((name) => basic(server.secretOf(name)));
  const slow = { ...SMALL, prompt: 'a fox [slow 50]', steps: 400 };
  const annes = txt2img(server, slow, ann);
  await until(async () => (await progressOf(server, ann)).step > 0);
  const bobs = await progressOf(server, bob);
  assert.deepEqual([bobs.progress, bobs.jobs], [0, 0]);
  assert.equal((await call(server, '/sdapi/v1/interrupt', { method: 'POST', headers: bob ?? {} })).text, '{}');
  const during = await progressOf(server, ann);
  assert.ok(during.progress >= 0.01 && during.progress < 1);
  assert.equal(during.jobs, 1);
  assert.equal((await call(server, '/sdapi/v1/interrupt', { method: 'POST', headers: ann ?? {} })).text, '{}');
  const answer = await annes;
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(imagesOf(answer), []);
  assert.equal(infoOf(answer)['steps'], 400);
  const after = await progressOf(server, ann);
  assert.deepEqual([after.progress, after.jobs], [0, 0]);
});

test('an interrupted request keeps the images of the passes that are done', async (t) => {
  const server = await served(t, { worker: { batchSize: 1 } });
  const answering = txt2img(server, { ...SMALL, prompt: 'a fox [slow 30]', steps: 20, n_iter: 50, seed: 3 });
  const done = async (): Promise<number> => {
    const { json } = await call(server, '/sdapi/v1/progress?skip_current_image=true');
    return Number((json['state'] as Json)['job_no']);
  };
  await until(async () => (await done()) >= 1);
  await call(server, '/sdapi/v1/interrupt', { method: 'POST' });
  const answer = await answering;
  assert.equal(answer.status, 200, answer.text.slice(0, 300));
  const { length } = imagesOf(answer);
  assert.ok(length >= 1 && length < 50, `${length} images`);
  assert.deepEqual(
    infoOf(answer)['all_seeds'],
    Array.from({ length }, (_, index) => 3 + index),
  );
  const { pending, processing } = await server.queue.counts();
  assert.deepEqual([pending, processing], [0, 0]);
});

test('progress has the preview of the caller’s image, unless the client skips it', async (t) => {
  const server = await served(t);
  const answering = txt2img(server, { ...SMALL, prompt: 'a fox [slow 50]', steps: 400 });
  const imageOf = async (query: string): Promise<unknown> =>
    (await call(server, `/sdapi/v1/progress${query}`)).json['current_image'];
  await until(async () => (await imageOf('')) !== null);
  const image = Buffer.from(String(await imageOf('')), 'base64');
  assert.equal(image.toString('latin1', 1, 4), 'PNG');
  assert.equal(await imageOf('?skip_current_image=true'), null);
  await call(server, '/sdapi/v1/interrupt', { method: 'POST' });
  await answering;
});

test('skip ends the pass under way, and the request answers with the others', async (t) => {
  const server = await served(t);
  const answering = txt2img(server, { ...SMALL, prompt: 'a fox [slow 40]', steps: 50, n_iter: 2, seed: 3 });
  await until(async () => (await progressOf(server)).step > 0);
  await call(server, '/sdapi/v1/skip', { method: 'POST' });
  const answer = await answering;
  assert.equal(answer.status, 200, answer.text.slice(0, 300));
  assert.equal(imagesOf(answer).length, 1);
  assert.deepEqual(infoOf(answer)['all_seeds'], [4]);
});

for (const n_iter of [1, 3])
  test(`a client that closes the connection leaves none of its ${n_iter} jobs behind`, async (t) => {
    const server = await served(t, { front: { cancelLostAfterMs: 50 } });
    const gone = new AbortController();
    const body = JSON.stringify({ ...SMALL, prompt: 'a fox [slow 50]', steps: 400, n_iter });
    const left = fetch(`${server.url}/sdapi/v1/txt2img`, { method: 'POST', body, signal: gone.signal });
    left.catch(() => {});
    await until(async () => (await progressOf(server)).step > 0);
    gone.abort();
    await assert.rejects(left);
    await until(async () => (await server.queue.counts()).error === n_iter);
    const jobs = await server.queue.list({ limit: 10 });
    assert.deepEqual(new Set(jobs.map(({ error }) => error?.split(':')[0])), new Set(['cancelled']));
    assert.deepEqual((await progressOf(server)).jobs, 0);
  });

interface Progress {
  readonly progress: number;
  readonly jobs: number;
  readonly step: number;
}

async function progressOf(server: Served, headers: Readonly<Record<string, string>> = {}): Promise<Progress> {
  const { json } = await call(server, '/sdapi/v1/progress?skip_current_image=true', { headers });
  const state = json['state'] as Json;
  return {
    progress: Number(json['progress']),
    jobs: Number(state['job_count']),
    step: Number(state['sampling_step']),
  };
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await sleep(20);
}
