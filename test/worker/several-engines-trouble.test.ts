/** What happens to one engine while another one generates: it is killed, its document is cancelled, the worker stops. Real processes, pixels at once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type LogFields, silentLogger } from '../../src/observability/logger.ts';
import type { WorkerEvent } from '../../src/worker/worker-contract.ts';
import { makePlace, states, until, watch, work } from './place.ts';

const ENDS = { timeout: 110_000 };
const linux = process.platform === 'linux' ? {} : { skip: 'NOT TESTED: needs /proc to find the engine processes' };

/** The child processes of this test: the engines, in the order of their start. */
function engineProcesses(): number[] {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}

function count(events: readonly WorkerEvent[], type: WorkerEvent['type'], id: string): number {
  return events.filter((event) => event.type === type && event.id === id).length;
}

test('kill -9 of one engine while both generate: its document is generated again, the other one goes on, and nothing is completed twice', {
  ...ENDS,
  ...linux,
}, async (t) => {
  const place = await makePlace(t);
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  await place.queue.enqueue(ids.map((_id) => ({ _id, text: '[slow 20]', num_inference_steps: 40 })));
  const engineOf = new Map<string, unknown>();
  const logger = {
    ...silentLogger,
    info: (message: string, fields: LogFields = {}) => {
      if (message === 'prompt completed') engineOf.set(String(fields['prompt_id']), fields['engine']);
    },
  };
  const worker = watch(place, { logger }, [{}, {}]);
  await until(() => worker.drawings('a') > 0 && worker.drawings('b') > 0);
  const [, second] = engineProcesses();
  assert.ok(second !== undefined);
  process.kill(second, 'SIGKILL');
  await until(async () => (await place.queue.counts()).completed === ids.length);
  await worker.stop();
  for (const id of ids) assert.equal(count(worker.events, 'completed', id), 1, id);
  assert.equal(worker.drawings('a'), 1, 'the engine that lives kept its document');
  assert.equal(worker.drawings('b'), 2, 'the document of the killed one was begun twice');
  assert.equal(count(worker.events, 'retried', 'b'), 1);
  assert.deepEqual(await states(place, ids), [
    'completed 1',
    'completed 2',
    ...Array<string>(ids.length - 2).fill('completed 1'),
  ]);
  assert.deepEqual(new Set(engineOf.values()), new Set(['engine 1', 'engine 2']), 'the log says which engine');
});

test('a document that the second engine generates is cancelled there, and the first goes on', ENDS, async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue(['a', 'b', 'c'].map((_id) => ({ _id, text: '[slow 20]', num_inference_steps: 60 })));
  const worker = watch(place, { renewMs: 20 }, [{}, {}]);
  await until(() => worker.drawings('a') > 0 && worker.drawings('b') > 0);
  await place.queue.cancel('b');
  await until(() => count(worker.events, 'lost', 'b') === 1);
  await until(async () => (await place.queue.counts()).completed === 2);
  await worker.stop();
  assert.deepEqual(await states(place, ['a', 'b', 'c']), ['completed 1', 'error 1', 'completed 1']);
  assert.deepEqual([worker.drawings('a'), worker.drawings('b'), worker.drawings('c')], [1, 1, 1]);
});

test('both engines tell their progress', ENDS, async (t) => {
  const place = await makePlace(t);
  const ids = ['a', 'b'];
  await place.queue.enqueue(ids.map((_id) => ({ _id, text: '[slow 5]', num_inference_steps: 20 })));
  const { events } = await work(place, { batchSize: 1 }, [{}, {}]);
  const told = events.filter((event) => event.type === 'progress');
  for (const id of ids)
    assert.deepEqual(
      told.filter((event) => event.id === id).map(({ step }) => step),
      Array.from({ length: 21 }, (_, step) => step),
    );
  const order = told.map(({ id }) => id);
  assert.ok(order.indexOf('b') < order.lastIndexOf('a'), 'one began before the other was done');
});

test('a stop with grace enough completes what both engines generate, and claims nothing more', ENDS, async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue(['a', 'b', 'c'].map((_id) => ({ _id, text: '[slow 20]', num_inference_steps: 40 })));
  const worker = watch(place, { graceMs: 60_000 }, [{}, {}]);
  await until(() => worker.drawings('a') > 0 && worker.drawings('b') > 0);
  assert.equal((await worker.stop()).completed, 2);
  assert.deepEqual(await states(place, ['a', 'b', 'c']), ['completed 1', 'completed 1', 'pending 0']);
});

test('a stop without grace releases the documents of both engines, and ends both', { ...ENDS, ...linux }, async (t) => {
  const place = await makePlace(t);
  const before = new Set(engineProcesses());
  await place.queue.enqueue(['a', 'b'].map((_id) => ({ _id, text: '[hang]', num_inference_steps: 40 })));
  const worker = watch(place, { graceMs: 100 }, [{}, {}]);
  await until(() => worker.drawings('a') > 0 && worker.drawings('b') > 0);
  const engines = engineProcesses().filter((pid) => !before.has(pid));
  assert.equal(engines.length, 2);
  assert.equal((await worker.stop()).released, 2);
  assert.deepEqual(await states(place, ['a', 'b']), ['pending 0', 'pending 0']);
  await until(() => engines.every((pid) => !engineProcesses().includes(pid)));
});

test('in a drain an idle engine takes what comes while the other one generates', ENDS, async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'long', text: '[slow 20]', num_inference_steps: 300 }]);
  const order: string[] = [];
  const working = work(
    place,
    {
      batchSize: 1,
      onEvent: (event) => {
        if (event.type === 'completed') order.push(event.id);
        if (event.type !== 'progress' || event.id !== 'long' || event.step !== 30) return;
        void place.queue.enqueue([{ _id: 'short', text: 'x' }]);
      },
    },
    [{}, {}],
  );
  await working;
  assert.deepEqual(order, ['short', 'long']);
});
