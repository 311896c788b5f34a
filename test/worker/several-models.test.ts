/** A worker with several models: real queue, real child processes, pixels at once. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type LogFields, silentLogger } from '../../src/observability/logger.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import type { WorkerOptions, WorkerSummary } from '../../src/worker/worker-contract.ts';
import { instantModels, makeAilment } from '../engine/instant-engine.ts';
import { makePlace, type Place, show, states, until, watch, work } from './place.ts';

const ENDS = { timeout: 110_000 };

type Models = Parameters<typeof instantModels>[0];

async function poolOf(t: TestContext, models: Models, options: Parameters<typeof instantModels>[1] = {}) {
  const { pool } = instantModels(models, options);
  t.after(() => pool[Symbol.asyncDispose]());
  await pool.start();
  return pool;
}

async function add({ queue }: Place, model: string | undefined, ids: readonly string[], text = 'x'): Promise<void> {
  const documents = ids.map((_id) => ({ _id, text }));
  await queue.enqueue(documents, model === undefined ? {} : { labels: { model } });
}

interface Drained {
  readonly summary: WorkerSummary;
  /** By id: the model that generated it. */
  readonly models: Readonly<Record<string, string | undefined>>;
  readonly order: readonly string[];
}

async function drain(place: Place, changes: Partial<WorkerOptions>): Promise<Drained> {
  const { summary, events } = await work(place, changes);
  const completed = events.filter((event) => event.type === 'completed');
  return {
    summary,
    models: Object.fromEntries(completed.map(({ id, model }) => [id, model])),
    order: events.filter(({ type }) => type === 'claimed').map(({ id }) => id),
  };
}

test(
  'each document is generated with its model, those without one with the default; the rest stays, and is counted',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    await add(place, 'b', ['b1', 'b2', 'b3']);
    await add(place, 'a', ['a1', 'a2']);
    await add(place, undefined, ['n1', 'n2']);
    await add(place, 'elsewhere', ['e1', 'e2']);
    const said: unknown[] = [];
    const logger = {
      ...silentLogger,
      warning: (message: string, fields: LogFields = {}) => void said.push([message, fields['jobs']]),
    };
    const { summary, models } = await drain(place, { pool: await poolOf(t, [{ id: 'a' }, { id: 'b' }]), logger });
    assert.equal(summary.completed, 7);
    assert.deepEqual(models, { b1: 'b', b2: 'b', b3: 'b', a1: 'a', a2: 'a', n1: 'a', n2: 'a' });
    assert.deepEqual(await states(place, ['e1', 'e2']), ['pending 0', 'pending 0']);
    assert.deepEqual(said, [['jobs for other models are left in the queue', 2]]);
  },
);

test(
  'a worker with one model leaves the documents of others alone, also where their leases have ended',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    await add(place, 'other', ['o1', 'o2']);
    // Another worker claimed it and crashed.
    await using crashed = new SqlitePromptQueue({
      path: join(place.folder, 'queue.sqlite'),
      leaseMs: 1,
      maxAttempts: 5,
      owner: 'crashed',
    });
    assert.equal((await crashed.claim({ limit: 1 })).length, 1);
    await add(place, 'instant', ['i1']);
    await add(place, undefined, ['n1']);
    const { summary } = await drain(place, {});
    assert.equal(summary.completed, 2);
    assert.deepEqual(await states(place, ['o1', 'o2']), ['processing 1', 'pending 0']);
    assert.deepEqual(await states(place, ['i1', 'n1']), ['completed 1', 'completed 1']);
  },
);

test('the loaded model stays for 20 documents while another one waits', ENDS, async (t) => {
  const place = await makePlace(t);
  const ids = (letter: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${letter}${String(index).padStart(2, '0')}`);
  await add(place, 'a', ids('a', 30));
  await add(place, 'b', ids('b', 5));
  const { summary, order } = await drain(place, { pool: await poolOf(t, [{ id: 'a' }, { id: 'b' }]) });
  assert.equal(summary.completed, 35);
  assert.deepEqual(order, [...ids('a', 20), ...ids('b', 5), ...ids('a', 30).slice(20)]);
});

test(
  'documents of a model that does not load wait unharmed, the others are generated, and they follow when it loads',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const { environment, set } = await makeAilment();
    await set('load fails');
    const pool = await poolOf(t, [{ id: 'good' }, { id: 'bad', changes: { environment } }]);
    await add(place, 'bad', ['x1', 'x2', 'x3']);
    await add(place, 'good', ['g1', 'g2', 'g3']);
    const worker = watch(place, { pool, batchSize: 4 });
    await until(async () => (await place.queue.counts()).completed === 3);
    // It has been tried, and is tried again and again.
    await until(() => worker.events.filter(({ type }) => type === 'released').length >= 3);
    await add(place, 'good', ['g4']);
    await until(async () => (await show(place, 'g4')).status === 'completed');
    const [record] = await place.queue.sideData.workers.living();
    assert.ok(record !== undefined);
    await set('');
    await until(async () => (await place.queue.counts()).completed === 7);
    assert.deepEqual(await states(place, ['x1', 'x2', 'x3']), Array(3).fill('completed 1'));
    assert.equal((await worker.stop()).failed, 0);
  },
);

test(
  'a drain ends with the reason of a model that does not load, after its patience, when all else is done',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const { environment, set } = await makeAilment();
    await set('load fails');
    const pool = await poolOf(t, [{ id: 'good' }, { id: 'bad', changes: { environment } }]);
    await add(place, 'bad', ['x1']);
    await add(place, 'good', ['g1', 'g2']);
    const troublePatience = { firstPauseMs: 20, maxPauseMs: 50, drainMs: 200 };
    await assert.rejects(work(place, { pool, troublePatience }), { code: 'model_not_found' });
    assert.deepEqual(await states(place, ['x1', 'g1', 'g2']), ['pending 0', 'completed 1', 'completed 1']);
  },
);

test('a stop while a model loads releases its documents, and no attempt counts', ENDS, async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await set('load hangs');
  const pool = await poolOf(t, [{ id: 'good' }, { id: 'slow', changes: { environment } }]);
  await add(place, 'slow', ['s1']);
  const worker = watch(place, { pool, graceMs: 100 });
  await until(async () => (await show(place, 's1')).status === 'processing');
  assert.equal((await worker.stop()).released, 1);
  assert.deepEqual(await states(place, ['s1']), ['pending 0']);
});

test('a document that is cancelled while its model loads is not generated', ENDS, async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await set('load hangs');
  const pool = await poolOf(t, [{ id: 'good' }, { id: 'slow', changes: { environment, maxLoadMs: 3000 } }]);
  await add(place, 'slow', ['s1']);
  const worker = watch(place, { pool, renewMs: 20 });
  await until(async () => (await show(place, 's1')).status === 'processing');
  await place.queue.cancel('s1');
  await until(() => worker.events.some(({ type }) => type === 'lost'));
  assert.equal(worker.drawings('s1'), 0);
  await worker.stop();
});

test('an engine that gave its memory back when idle generates the next document', ENDS, async (t) => {
  const place = await makePlace(t);
  const pool = await poolOf(t, [{ id: 'a' }, { id: 'b' }], { idleUnloadMs: 50 });
  const worker = watch(place, { pool });
  for (const [turn, model] of ['a', 'b', 'a', 'b'].entries()) {
    await until(() => pool.loadedModel === undefined);
    await add(place, model, [`d${turn}`]);
    await until(async () => (await show(place, `d${turn}`)).status === 'completed');
  }
  assert.equal((await worker.stop()).completed, 4);
});
