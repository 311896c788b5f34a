/** The list of workers that servers read: what is in it, and who is no longer in it. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../src/observability/logger.ts';
import { startServer } from '../http/server-process.ts';
import { serve, type Served } from '../http/served.ts';
import { makeAilment } from '../engine/instant-engine.ts';
import { Registration } from '../../src/worker/registration.ts';
import { loadingRecord } from '../../src/worker/worker-facts.ts';
import { RecentWork } from '../../src/worker/recent-work.ts';
import { VERSION } from '../../src/version.ts';
import { makePlace, type Place, until, watch } from './place.ts';

const ENDS = { timeout: 110_000 };

test(
  'a worker is listed with its models and its machine while it runs, and leaves the list at its end',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const { workers } = place.queue.sideData;
    const worker = watch(place, { defaults: { numInferenceSteps: 7, widthPx: 24 } });
    await until(async () => (await workers.living()).length > 0);
    const [record] = await workers.living();
    assert.ok(record !== undefined);
    const { at, ...facts } = record;
    assert.ok(Number.isFinite(at.getTime()));
    assert.deepEqual(facts, {
      id: 'test',
      host: hostname(),
      pid: process.pid,
      version: VERSION,
      device: 'cpu',
      models: ['instant'],
      loadedModel: 'instant',
      takesUnnamed: true,
      images5min: 0,
      seconds5min: 0,
      sizes: [{ model: 'instant', widthPx: 24, heightPx: 8, numInferenceSteps: 7 }],
    });
    await worker.stop();
    assert.deepEqual(await workers.living(), []);
    assert.deepEqual(await workers.modelsOfDay(), ['instant']);
  },
);

test('the work of five minutes is counted, and seconds in which two engines work count once', () => {
  let nowMs = 0;
  const work = new RecentWork(() => nowMs);
  work.begin();
  nowMs = 10_000;
  work.begin();
  nowMs = 20_000;
  work.end(2);
  nowMs = 30_000;
  work.end(1);
  assert.deepEqual(work.sums, { images: 3, seconds: 30 });
  nowMs = 100_000;
  work.begin();
  nowMs = 101_000;
  work.end(4);
  assert.deepEqual(work.sums, { images: 7, seconds: 31 });
  nowMs = 325_000;
  assert.deepEqual(work.sums, { images: 5, seconds: 11 }, 'the first batch is older than that');
  nowMs = 1_000_000;
  assert.deepEqual(work.sums, { images: 0, seconds: 0 });
});

/** As `run` registers a worker before it looks for its model. */
async function registerLoading({ queue }: Place): Promise<Registration> {
  const { workers } = queue.sideData;
  const models = { named: ['instant'], takesUnnamed: true };
  const record = () => loadingRecord({ owner: 'test', models });
  const registration = new Registration({ workers, record, logger: silentLogger });
  await until(async () => (await workers.living()).length === 1);
  return registration;
}

/** It gives a job without a worker up after half a second. */
function impatient(t: Parameters<typeof serve>[0], { folder }: Place): Promise<Served> {
  return serve(t, { folder, worker: false, front: { noWorkerTimeoutMs: 500 } });
}

function generate({ url }: Served): Promise<Response> {
  const body = JSON.stringify({ prompt: 'x', size: '64x64', steps: 2 });
  return fetch(`${url}/v1/images/generations`, { method: 'POST', body });
}

test('a request waits while the worker that will have its model loads it', ENDS, async (t) => {
  const place = await makePlace(t);
  const registration = await registerLoading(place);
  const served = await impatient(t, place);
  const ailment = await makeAilment();
  await ailment.set('load takes 7000');
  const answer = generate(served);
  watch(place, {}, { environment: ailment.environment });
  await sleep(5000);
  await registration.handOver();
  await registration[Symbol.asyncDispose]();
  assert.deepEqual(
    (await place.queue.sideData.workers.living()).map(({ isLoading }) => isLoading),
    [true],
    'it has not left',
  );
  assert.equal((await answer).status, 200);
});

test('a request is refused when the worker that was loading its model has left without it', ENDS, async (t) => {
  const place = await makePlace(t);
  const registration = await registerLoading(place);
  const served = await impatient(t, place);
  const answer = generate(served);
  await sleep(3000);
  assert.equal((await served.queue.counts()).pending, 1, 'it waits');
  await registration[Symbol.asyncDispose]();
  const { status } = await answer;
  assert.equal(status, 503);
  assert.deepEqual(await place.queue.sideData.workers.modelsOfDay(), []);
});

test('a worker is in the list from its start, as one that loads, and from then on until its end', ENDS, async (t) => {
  const place = await makePlace(t);
  const { workers } = place.queue.sideData;
  const starting = startServer(t, ['--data-dir', place.folder]);
  const seen = new Set<boolean>();
  await until(async () => {
    const [first] = await workers.living();
    if (first === undefined) assert.equal(seen.size, 0, 'it has not left in between');
    else seen.add(first.isLoading === true);
    return seen.has(false);
  });
  assert.deepEqual([...seen], [true, false]);
  const server = await starting;
  server.child.kill('SIGTERM');
  await until(async () => (await workers.living()).length === 0);
  await server.ended;
});
