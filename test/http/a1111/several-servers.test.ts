/** Several servers over one queue answer progress, interrupt and skip of the web UI's API alike, whichever of them waits for the request. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promptIdText } from '../../../src/job/document-id.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import type { Served, ServeOptions } from '../served.ts';
import { basic, call, imagesOf, infoOf, type Json, SMALL, served, txt2img } from './calls.ts';

type Queue = Pick<ServeOptions, 'mongoUri'>;

/** Two servers with one key file; the first has the worker. */
async function two(t: TestContext, queue: Queue, options: ServeOptions = {}): Promise<readonly [Served, Served]> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-servers-'));
  const first = await served(t, { folder, ...queue, ...options });
  const other = await served(t, { folder, ...queue, ...options, worker: false });
  // After both have stopped: a worker whose queue is removed fails.
  t.after(() => rm(folder, { recursive: true, force: true }));
  return [first, other];
}

interface Shown {
  readonly progress: number;
  readonly jobs: number;
  readonly step: number;
  readonly image: unknown;
}

async function progressOf(server: Served, headers: Readonly<Record<string, string>> = {}): Promise<Shown> {
  const { json } = await call(server, '/sdapi/v1/progress', { headers });
  const { job_count: jobs, sampling_step: step } = json['state'] as Json;
  return { progress: Number(json['progress']), jobs: Number(jobs), step: Number(step), image: json['current_image'] };
}

const post = (server: Served, verb: string, headers: Readonly<Record<string, string>> = {}) =>
  call(server, `/sdapi/v1/${verb}`, { method: 'POST', headers });

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await sleep(20);
}

function severalServers(name: string, queueOf: (t: TestContext) => Queue): void {
  test(`over ${name} any server tells the progress of a request, with its preview, and exactly 0 when it has ended`, async (t) => {
    const [one, other] = await two(t, queueOf(t));
    assert.deepEqual(await progressOf(other), { progress: 0, jobs: 0, step: 0, image: null });
    const answering = txt2img(one, { ...SMALL, prompt: 'a fox [slow 40]', steps: 900 });
    await until(async () => (await progressOf(other)).image !== null);
    const during = await progressOf(other);
    assert.ok(during.progress >= 0.01 && during.progress < 1, `${during.progress}`);
    assert.equal(during.jobs, 1);
    assert.equal(Buffer.from(String(during.image), 'base64').toString('latin1', 1, 4), 'PNG');
    await until(async () => (await progressOf(other)).step > 0);
    await post(one, 'interrupt');
    assert.equal((await answering).status, 200);
    assert.deepEqual(await progressOf(other), { progress: 0, jobs: 0, step: 0, image: null });
    const short = await txt2img(one, { ...SMALL, prompt: 'a fox' });
    assert.equal(imagesOf(short).length, 1);
    assert.deepEqual(await progressOf(other), { progress: 0, jobs: 0, step: 0, image: null });
    assert.deepEqual(await progressOf(one), { progress: 0, jobs: 0, step: 0, image: null });
  });

  test(`over ${name} an interrupt at another server ends the caller’s requests alone, which answer 200`, async (t) => {
    const [one, other] = await two(t, queueOf(t), { keys: ['ann', 'bob'] });
    const [ann, bob] = ['ann', 'bob'].map((key) => basic(one.secretOf(key)));
    const slow = { ...SMALL, prompt: 'a fox [slow 40]', steps: 400, seed: 3 };
    const annes = txt2img(one, { ...slow, n_iter: 2 }, ann);
    await until(async () => (await progressOf(other, ann)).step > 0);
    assert.deepEqual(await progressOf(other, bob), { progress: 0, jobs: 0, step: 0, image: null });
    assert.equal((await post(other, 'interrupt', bob)).text, '{}');
    assert.equal((await progressOf(other, ann)).jobs, 2);
    assert.equal((await post(other, 'interrupt', ann)).text, '{}');
    const answer = await annes;
    assert.equal(answer.status, 200, answer.text.slice(0, 300));
    assert.deepEqual(imagesOf(answer), []);
    for (const server of [one, other]) assert.equal((await progressOf(server, ann)).jobs, 0);
    const { pending, processing, error } = await one.queue.counts();
    assert.deepEqual([pending, processing, error], [0, 0, 2]);
  });

  test(`over ${name} a skip at another server ends the pass under way, and the request answers with the others`, async (t) => {
    const [one, other] = await two(t, queueOf(t), { worker: { batchSize: 1 } });
    const answering = txt2img(one, { ...SMALL, prompt: 'a fox [slow 40]', steps: 50, n_iter: 2, seed: 3 });
    await until(async () => (await progressOf(other)).step > 0);
    assert.equal((await post(other, 'skip')).text, '{}');
    const answer = await answering;
    assert.equal(answer.status, 200, answer.text.slice(0, 300));
    assert.deepEqual(infoOf(answer)['all_seeds'], [4]);
  });

  test(`over ${name} an interrupt reaches a job whose client has closed the connection already`, async (t) => {
    const [one, other] = await two(t, queueOf(t));
    const gone = new AbortController();
    const body = JSON.stringify({ ...SMALL, prompt: 'a fox [slow 40]', steps: 900 });
    const left = fetch(`${one.url}/sdapi/v1/txt2img`, { method: 'POST', body, signal: gone.signal });
    left.catch(() => undefined);
    await until(async () => (await progressOf(one)).step > 0);
    gone.abort();
    await until(async () => (await progressOf(other)).jobs === 0);
    const [job] = await one.queue.list({ limit: 1 });
    assert.equal(job?.status, 'processing');
    await post(other, 'interrupt');
    assert.equal((await one.queue.list({ limit: 1 }))[0]?.status, 'error');
  });

  test(`over ${name} the request of a server that is gone can be stopped at another one, and counts no longer once its job has ended`, async (t) => {
    const [one, other] = await two(t, queueOf(t));
    const [added] = await one.queue.enqueue(
      [{ text: 'a fox [slow 40]', width: 64, height: 64, num_inference_steps: 900 }],
      {
        labels: { model: 'instant' },
      },
    );
    assert.ok(added !== undefined);
    const id = promptIdText(added);
    // The entry that the server left behind.
    await one.queue.sideData.waits.keep('', { id: 'of a server that is gone', promptIds: [id] }, { forMs: 600_000 });
    await until(async () => (await one.queue.show(id))?.status === 'processing');
    assert.equal((await progressOf(other)).jobs, 1);
    assert.equal((await post(other, 'interrupt')).status, 200);
    assert.match((await one.queue.show(id))?.error ?? '', /^cancelled/);
    assert.equal((await one.queue.sideData.waits.of('')).length, 1);
    assert.deepEqual(await progressOf(other), { progress: 0, jobs: 0, step: 0, image: null });
  });
}

severalServers('the embedded queue', () => ({}));

const binary = await findMongod();
if (binary === undefined) test('servers over MongoDB', { skip: NO_MONGOD });
else {
  for (const [name, servers] of [
    ['a standalone MongoDB', await MongoServers.standalone(binary)],
    ['a replica set', await MongoServers.replicaSet(binary)],
  ] as const) {
    after(() => servers[Symbol.asyncDispose]());
    severalServers(name, () => ({ mongoUri: servers.uri(`t${randomBytes(6).toString('hex')}`) }));
  }
}
