/** A worker whose pool has two engines: the same loop, and what one engine does wrong does not stop the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerEvent } from '../../src/worker/worker-contract.ts';
import { makeAilment } from '../engine/instant-engine.ts';
import { makePlace, states, until, watch, work } from './place.ts';

const IDS = Array.from({ length: 12 }, (_, index) => `d${String(index).padStart(2, '0')}`);

/** How many jobs had begun and not come to their last step at the same time. One engine generates its jobs one after the other. */
function mostAtOnce(events: readonly WorkerEvent[]): number {
  const open = new Set<string>();
  let most = 0;
  for (const event of events) {
    if (event.type !== 'progress') continue;
    if (event.step > 0 && event.step < event.steps) open.add(event.id);
    else open.delete(event.id);
    most = Math.max(most, open.size);
  }
  return most;
}

function claimed(events: readonly WorkerEvent[]): string[] {
  return events.filter(({ type }) => type === 'claimed').map((event) => ('id' in event ? event.id : ''));
}

test('two engines generate at the same time, each document once, and it is claimed in the order of the queue', async (t) => {
  const place = await makePlace(t);
  const urgent = IDS.at(-1) as string;
  await place.queue.enqueue(
    IDS.map((_id) => ({ _id, text: '[slow 10]', num_inference_steps: 10, priority: _id === urgent ? 1 : 0 })),
  );
  const { summary, events } = await work(place, { batchSize: 1 }, [{}, {}]);
  assert.deepEqual(summary, { completed: IDS.length, failed: 0, retried: 0, released: 0, lost: 0 });
  assert.deepEqual(claimed(events), [urgent, ...IDS.slice(0, -1)]);
  assert.equal(mostAtOnce(events), 2);
});

test('one engine of a pool generates one job after the other', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue(IDS.slice(0, 4).map((_id) => ({ _id, text: '[slow 5]', num_inference_steps: 5 })));
  const { events } = await work(place, { batchSize: 1 });
  assert.equal(mostAtOnce(events), 1, 'or the test above shows nothing');
});

test('an engine that dies each time is left out without using up attempts, and comes back when it is well', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await set('draw dies');
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: '[slow 5]', num_inference_steps: 5 })));
  const troubles: unknown[] = [];
  const worker = watch(
    place,
    { maxAttempts: 1, onAlive: (trouble) => trouble !== undefined && troubles.push(trouble) },
    [{}, { environment }],
  );
  await until(async () => (await place.queue.counts()).completed === IDS.length);
  assert.deepEqual(await states(place, IDS), Array(IDS.length).fill('completed 1'));
  assert.deepEqual(troubles, [], 'the other engine went on');
  await set('');
  // At first one engine generates them all; the pool tries the other one again after a while.
  while (mostAtOnce(worker.events) < 2) {
    await place.queue.enqueue(['x', 'y', 'z'].map((text) => ({ text: `[slow 5] ${text}`, num_inference_steps: 20 })));
    await until(async () => (await place.queue.counts()).pending === 0);
  }
  await worker.stop();
});

test('jobs that end an engine are generated alone in the next free slot, and their neighbours are not held up', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([
    { _id: 'poison', text: '[kill]', priority: 1 },
    ...IDS.map((_id) => ({ _id, text: 'x' })),
  ]);
  const { summary } = await work(place, { maxAttempts: 2 }, [{}, {}]);
  assert.deepEqual([summary.completed, summary.failed], [IDS.length, 1]);
});
