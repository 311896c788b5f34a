/** The engine pool with real child processes: who gets a slot when, what fits into it, and engines that cannot be used. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test, type TestContext } from 'node:test';
import { BatchBudget } from '../../src/engine/batch-budget.ts';
import type { EngineHostOptions } from '../../src/engine/engine-host.ts';
import type { EngineJob } from '../../src/engine/engine-job.ts';
import type { EnginePool, EngineSlot } from '../../src/engine/pool.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { aRequest } from '../job/a-request.ts';
import { makeAilment, startInstantPool } from './instant-engine.ts';

const NEVER = new AbortController().signal;

async function startPool(t: TestContext, ...engines: Partial<EngineHostOptions>[]): Promise<EnginePool> {
  const pool = await startInstantPool(...engines);
  t.after(() => pool[Symbol.asyncDispose]());
  return pool;
}

async function slotOf(pool: EnginePool, leadMs = 0): Promise<EngineSlot> {
  const slot = await pool.nextSlot({ leadMs, signal: NEVER });
  assert.ok(slot !== undefined);
  return slot;
}

function job(jobId: string, prompt = jobId, numInferenceSteps = 3): EngineJob {
  const request = aRequest({ prompt, numInferenceSteps, guidanceScale: 1, widthPx: 16, heightPx: 8 });
  return { jobId, request, images: [] };
}

/** Whether it resolves within a few turns of the loop and 100 ms. */
async function isThere(promise: Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  setTimeout(() => resolve(false), 100);
  return Promise.race([promise.then(() => true), late]);
}

test('results come in the order of the jobs, each with the durations of its stages', async (t) => {
  const pool = await startPool(t);
  using slot = await slotOf(pool);
  assert.equal(slot.loaded?.facts?.modelName, 'instant');
  const results = await Promise.all(slot.generate([job('b'), job('a')]));
  assert.equal(results.length, 2);
  for (const { durationsMs, images } of results) {
    assert.deepEqual(Object.keys(durationsMs), ['load', 'encode', 'denoise', 'decode']);
    assert.equal(images.length, 1);
  }
  const [[alone]] = [await Promise.all((await slotOf(await startPool(t))).generate([job('b')]))];
  assert.deepEqual(results[0].images, alone.images);
});

test('an engine gives its next slot only when its jobs are nearly done, and the turn of that one comes after the release of the first', async (t) => {
  const pool = await startPool(t);
  const first = await slotOf(pool);
  const [generating] = first.generate([job('a', '[slow 10]', 200)]);
  const soon = pool.nextSlot({ leadMs: 50, signal: NEVER });
  assert.equal(await isThere(soon), false, 'two seconds of steps are left');
  const second = await soon;
  assert.ok(second !== undefined);
  assert.ok((pool.remainingMs('a') ?? 0) <= 50);
  const turn = second.turn(NEVER);
  await generating;
  assert.equal(await isThere(turn), false, 'what follows for its jobs is not decided yet');
  const third = pool.nextSlot({ leadMs: 1e9, signal: NEVER });
  assert.equal(await isThere(third), false, 'one slot ahead, no more');
  first.release();
  first.release();
  assert.equal(await turn, true);
  second.release();
  assert.ok((await third) !== undefined);
});

test('a slot that was not used goes to the next who asks', async (t) => {
  const pool = await startPool(t, {}, {});
  const slots = [await slotOf(pool), await slotOf(pool)];
  assert.deepEqual(
    slots.map(({ engine }) => engine),
    ['engine 1', 'engine 2'],
  );
  const third = slotOf(pool);
  assert.equal(await isThere(third), false);
  slots[1]?.release();
  assert.equal((await third).engine, 'engine 2');
});

test('whoever stops waiting gets no slot, and leaves nothing behind', async (t) => {
  const pool = await startPool(t);
  const first = await slotOf(pool);
  const stopping = new AbortController();
  const waiting = pool.nextSlot({ leadMs: 0, signal: stopping.signal });
  assert.equal(await isThere(waiting), false);
  stopping.abort();
  assert.equal(await waiting, undefined);
  assert.equal(await pool.nextSlot({ leadMs: 0, signal: stopping.signal }), undefined);
  assert.equal(getEventListeners(stopping.signal, 'abort').length, 0);
  const next = pool.nextSlot({ leadMs: 0, signal: NEVER });
  first.release();
  assert.ok((await next) !== undefined);
});

test('after a pass ran out of memory a slot is for as many images as fitted', async (t) => {
  const pool = await startPool(t);
  const slot = await slotOf(pool);
  assert.equal(slot.maxImages('instant'), 4);
  const jobs = ['a', 'b', 'c', 'd'].map((jobId) => job(jobId, '[memory 2]'));
  assert.equal((await Promise.all(slot.generate(jobs))).length, 4);
  slot.release();
  assert.equal((await slotOf(pool)).maxImages('instant'), 2);
});

test('a budget is halved by pixels, down to one image of any size', () => {
  const budget = new BatchBudget(silentLogger);
  const model = { maxBatchImages: 8 };
  assert.equal(budget.halve({ pixels: 1024 ** 2, images: 8 }), true);
  assert.deepEqual(
    [256, 512, 1024, 2048].map((side) => budget.imagesPerPass(model, side ** 2)),
    [8, 8, 4, 1],
  );
  assert.equal(budget.halve({ pixels: 2048 ** 2, images: 1 }), false);
});

test('a cancelled job that ran out of memory is not generated again', async (t) => {
  const pool = await startPool(t);
  using slot = await slotOf(pool);
  const [cancelled, other] = slot.generate([job('a', '[memory 1]'), job('b', '[memory 1]')]);
  pool.cancel('a');
  await assert.rejects(cancelled);
  await other;
});

test('an engine that dies again at its probe is left out; where it is the only one nobody gets a slot until a probe succeeds', async (t) => {
  const { environment, set } = await makeAilment();
  const pool = await startPool(t, { environment });
  const slot = await slotOf(pool);
  await set('draw dies');
  const [result] = slot.generate([job('a')]);
  await assert.rejects(result, { code: 'engine_crashed' });
  assert.equal(pool.refusal, undefined, 'the death of one job says nothing about the engine');
  assert.equal((await slot.probe())?.code, 'engine_crashed');
  slot.release();
  await assert.rejects(pool.nextSlot({ leadMs: 0, signal: NEVER }), { code: 'engine_crashed' });
  await assert.rejects(pool.probe(), { code: 'engine_crashed' });
  await set('');
  await pool.probe();
  assert.equal(pool.refusal, undefined);
  await Promise.all((await slotOf(pool)).generate([job('b')]));
});

test('of two engines the one that cannot be used is left out, also for those who had their slot already', async (t) => {
  const { environment, set } = await makeAilment();
  const pool = await startPool(t, { environment }, {});
  const sick = await slotOf(pool);
  const [generating] = sick.generate([job('a', '[slow 20]')]);
  const ahead = await slotOf(pool, 1e9);
  assert.deepEqual([sick.engine, ahead.engine], ['engine 1', 'engine 2']);
  await generating;
  await set('load fails');
  const [killed] = sick.generate([job('b', '[kill]')]);
  await assert.rejects(killed, { code: 'engine_crashed' });
  assert.equal((await sick.probe())?.code, 'engine_unavailable');
  sick.release();
  assert.equal(await ahead.turn(NEVER), true);
  ahead.release();
  assert.equal(pool.refusal, undefined);
  for (let turn = 0; turn < 3; turn++) {
    using next = await slotOf(pool);
    assert.equal(next.engine, 'engine 2');
  }
  await set('');
  // The pool tries it again by itself.
  for (;;) {
    using next = await slotOf(pool);
    if (next.engine === 'engine 1') break;
    await isThere(new Promise(() => undefined));
  }
});
