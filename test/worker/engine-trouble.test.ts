/** An engine that cannot be had is never a document's fault; a document that kills a healthy engine ends with its attempts. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { makeAilment } from '../engine/instant-engine.ts';
import { makePlace, QUICK_PATIENCE, show, states, until, watch, work } from './place.ts';

const IDS = ['a', 'b', 'c', 'd'];

for (const ailment of ['draw dies', 'draw fails'] as const) {
  test(`a machine on which each drawing ends so: "${ailment}", uses up no attempt, and what waited is drawn when it is well`, async (t) => {
    const place = await makePlace(t);
    const { environment, set } = await makeAilment();
    await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x' })));
    await set(ailment);
    const worker = watch(place, {}, { environment });
    await until(() => worker.trouble() !== undefined);
    assert.equal(worker.trouble()?.source, 'engine');
    const claims = worker.events.filter(({ type }) => type === 'claimed').length;
    assert.ok(claims <= 4, `${claims} claims before it was noticed`);
    await until(async () => (await states(place, IDS)).every((state) => state === 'pending 0'));
    await set('');
    await until(async () => (await place.queue.counts()).completed === 4);
    assert.deepEqual(await states(place, IDS), Array(4).fill('completed 1'));
    assert.equal(worker.trouble(), undefined);
  });
}

test('the last attempt of a prompt is not lost to a machine that kills every engine', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  await set('draw dies');
  const worker = watch(place, { maxAttempts: 1 }, { environment });
  await until(() => worker.trouble() !== undefined);
  await until(async () => (await states(place, ['a']))[0] === 'pending 0');
  await set('');
  await until(async () => (await states(place, ['a']))[0] === 'completed 1');
});

test('an engine that is killed and cannot load its model again gives the attempt back, and nothing is claimed until it can', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue([
    { _id: 'a', text: `[crash once ${join(place.folder, 'flag')}]` },
    { _id: 'b', text: 'x' },
  ]);
  // Of the first load nobody hears: it is well then.
  const worker = watch(
    place,
    { onEvent: (event) => void (event.type === 'claimed' && set('load fails')) },
    { environment },
  );
  await until(() => worker.trouble() !== undefined);
  assert.match(worker.trouble()?.message ?? '', /model_not_found/);
  await until(async () => (await states(place, ['a', 'b'])).every((state) => state === 'pending 0'));
  await worker.stop();
});

test('a drain without an engine ends with the reason, and leaves its prompts without an attempt', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x' })));
  await set('draw dies');
  const troublePatience = { ...QUICK_PATIENCE, drainMs: 100 };
  await assert.rejects(
    work(place, { batchSize: 1, troublePatience }, { environment }),
    (error) => error instanceof Text2ImgError && error.fault === 'infrastructure',
  );
  assert.deepEqual(await states(place, IDS), Array(4).fill('pending 0'));
});

test('a drain in trouble whose queue is emptied by others is done', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  await set('draw dies');
  const { summary } = await work(
    place,
    {
      maxAttempts: 1,
      troublePatience: QUICK_PATIENCE,
      onAlive: (trouble) => void (trouble !== undefined && place.queue.cancel('a')),
    },
    { environment },
  );
  assert.deepEqual([summary.completed, summary.failed], [0, 0]);
});

test('a worker that finds an ended lease tries the machine before it takes over', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  await using dead = new SqlitePromptQueue({
    path: join(place.folder, 'queue.sqlite'),
    leaseMs: 1,
    maxAttempts: 5,
    owner: 'dead',
  });
  await dead.claim({ limit: 1 });
  await sleep(5);
  await set('draw dies');
  const worker = watch(place, {}, { environment });
  await until(() => worker.trouble() !== undefined);
  assert.deepEqual(await states(place, ['a']), ['processing 1'], 'not claimed');
  await set('');
  await until(async () => (await states(place, ['a']))[0] === 'completed 2');
});

test('prompts that kill a healthy engine end with their attempts, however many they are, and those between them are drawn', async (t) => {
  const place = await makePlace(t);
  const poison = ['p1', 'p2', 'p3', 'p4'];
  await place.queue.enqueue([
    ...poison.map((_id) => ({ _id, text: '[kill]', priority: 1 })),
    ...IDS.map((_id) => ({ _id, text: 'x' })),
  ]);
  const { summary } = await work(place, { maxAttempts: 2, troublePatience: QUICK_PATIENCE });
  assert.deepEqual([summary.completed, summary.failed], [4, 4]);
  for (const id of poison)
    assert.match((await show(place, id)).error ?? '', /^attempts_exhausted: all 2 attempts failed/);
  assert.deepEqual(await states(place, IDS), Array(4).fill('completed 1'));
});
