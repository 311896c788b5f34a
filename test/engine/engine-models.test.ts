/** One engine and several models, with real child processes: which is loaded, one that does not load, and memory that an idle engine gives back. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import type { EngineJob } from '../../src/engine/engine-job.ts';
import type { EnginePool, EngineSlot } from '../../src/engine/pool.ts';
import { type Logger, silentLogger } from '../../src/observability/logger.ts';
import { aRequest } from '../job/a-request.ts';
import { instantModels, makeAilment } from './instant-engine.ts';

const NEVER = new AbortController().signal;

function start(t: TestContext, ...options: Parameters<typeof instantModels>): ReturnType<typeof instantModels> {
  const made = instantModels(...options);
  t.after(() => made.pool[Symbol.asyncDispose]());
  return made;
}

async function slotOf(pool: EnginePool): Promise<EngineSlot> {
  const slot = await pool.nextSlot({ leadMs: 0, signal: NEVER });
  assert.ok(slot !== undefined);
  return slot;
}

function job(jobId: string): EngineJob {
  const request = aRequest({ prompt: jobId, numInferenceSteps: 3, guidanceScale: 1, widthPx: 16, heightPx: 8 });
  return { jobId, request, images: [] };
}

function names(slot: EngineSlot): (string | undefined)[] {
  return [slot.loaded?.id, ...slot.models.map(({ id }) => id)];
}

test('a slot swaps the model: the child of the old one ends before the new one begins, and the facts of both stay known', async (t) => {
  const { pool, hosts } = start(t, [{ id: 'a' }, { id: 'b' }]);
  await pool.start();
  assert.equal(hosts[1]?.pid, undefined, 'one model at a time is in memory');
  {
    using slot = await slotOf(pool);
    assert.deepEqual(names(slot), ['a', 'a', 'b']);
    assert.deepEqual(
      [slot.maxImages('a'), slot.maxImages('b')],
      [4, 1],
      'nobody knows what fits of a model before its load',
    );
    assert.equal(await slot.load('b'), undefined);
    assert.deepEqual(names(slot), ['b', 'b', 'a']);
    assert.equal(slot.loaded?.facts?.modelName, 'b');
    assert.equal(hosts[0]?.pid, undefined);
    await Promise.all(slot.generate([job('x')]));
  }
  using slot = await slotOf(pool);
  assert.deepEqual(names(slot), ['b', 'b', 'a']);
  assert.equal(slot.models[1]?.facts?.modelName, 'a');
  assert.equal(await slot.load('a'), undefined);
  assert.equal(await slot.load('a'), undefined, 'it is loaded already');
  await Promise.all(slot.generate([job('y')]));
  assert.deepEqual([pool.loadedModel, pool.models.map(({ id }) => id)], ['a', ['a', 'b']]);
});

test('a model that does not load is left out, said once, and tried again after a while; the others are generated', async (t) => {
  const { environment, set } = await makeAilment();
  const said: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    warning: (message, fields) => void said.push([message, fields?.['model']]),
  };
  const { pool } = start(t, [{ id: 'good' }, { id: 'bad', changes: { environment } }], { logger });
  await set('load fails');
  await pool.start();
  for (let turn = 0; turn < 3; turn++) {
    using slot = await slotOf(pool);
    assert.equal((await slot.load('bad'))?.code, 'model_not_found');
    assert.deepEqual(names(slot), [undefined, 'good'], 'nothing is loaded, and the other one can be');
    assert.deepEqual(
      pool.modelsOut.map(({ id }) => id),
      ['bad'],
    );
    assert.equal(pool.refusal, undefined);
    assert.equal(await slot.load('good'), undefined);
    await Promise.all(slot.generate([job('x')]));
    slot.release();
    while (!(await tried(pool))) await sleep(5);
  }
  assert.deepEqual(said, [['a model cannot be loaded; its jobs wait, and the other models are generated', 'bad']]);
  await set('');
  using slot = await slotOf(pool);
  assert.equal(await slot.load('bad'), undefined);
  assert.deepEqual(pool.modelsOut, []);
  await Promise.all(slot.generate([job('y')]));
});

/** Whether the model that is out may be tried again. */
async function tried(pool: EnginePool): Promise<boolean> {
  using slot = await slotOf(pool);
  return names(slot).includes('bad');
}

test('a start takes the first model that loads; where none does, the reason of the first is told', async (t) => {
  const { environment, set } = await makeAilment();
  await set('load fails');
  const { pool } = start(t, [{ id: 'bad', changes: { environment } }, { id: 'good' }]);
  await pool.start();
  assert.deepEqual([pool.loadedModel, pool.models.map(({ id }) => id)], ['good', ['good']]);
  const none = start(t, [
    { id: 'bad', changes: { environment } },
    { id: 'worse', changes: { environment } },
  ]);
  await assert.rejects(none.pool.start(), { code: 'model_not_found', message: /\/instant\/bad/ });
  await assert.rejects(none.pool.nextSlot({ leadMs: 0, signal: NEVER }), { code: 'model_not_found' });
  await set('');
  await none.pool.probe();
  using slot = await slotOf(none.pool);
  await Promise.all(slot.generate([job('x')]));
});

test('an engine that is idle for long gives its memory back, and the next job loads the model again', async (t) => {
  const { pool, hosts } = start(t, [{ id: 'a' }], { idleUnloadMs: 50 });
  await pool.start();
  const [host] = hosts;
  assert.ok(host?.pid !== undefined);
  // As a worker whose queue is empty.
  while (host.pid !== undefined) {
    (await slotOf(pool)).release();
    await sleep(10);
  }
  using slot = await slotOf(pool);
  assert.deepEqual([slot.loaded, slot.models.map(({ id }) => id)], [undefined, ['a']]);
  assert.equal(await slot.load('a'), undefined);
  const [result] = await Promise.all(slot.generate([job('x')]));
  assert.equal(result.images.length, 1);
  assert.ok(host.pid !== undefined);
});
