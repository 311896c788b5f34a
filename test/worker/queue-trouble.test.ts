/** A queue that refuses: waited out, said once; what waiting cannot mend ends the worker; a drain says what it leaves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import type { DrainState, PromptQueue } from '../../src/queue/prompt-queue.ts';
import { makePlace, type Place, QUICK_PATIENCE, states, until, watch, work } from './place.ts';

interface Faults {
  claim?: ErrorCode | undefined;
  complete?: ErrorCode | undefined;
  drainState?: DrainState;
}

/** The real queue behind faults: each method goes to it unless it is to fail. */
function faultyQueue({ queue }: Place): { readonly queue: PromptQueue; readonly faults: Faults } {
  const faults: Faults = {};
  const refuse = (code: ErrorCode | undefined): void => {
    if (code !== undefined) throw new Text2ImgError(code, 'the test wants it so.');
  };
  const overrides: Partial<PromptQueue> = {
    claim: async (options) => {
      refuse(faults.claim);
      return queue.claim(options);
    },
    complete: async (...args) => {
      refuse(faults.complete);
      return queue.complete(...args);
    },
    drainState: async () => faults.drainState ?? queue.drainState(),
  };
  const handler: ProxyHandler<PromptQueue> = {
    get: (target, name) => {
      if (Object.hasOwn(overrides, name)) return overrides[name as keyof PromptQueue];
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  };
  return { queue: new Proxy<PromptQueue>(queue, handler), faults };
}

for (const code of ['queue_failed', 'queue_unauthorized', 'queue_refused', 'disk_full'] as const) {
  test(`a queue that answers ${code} is waited for, and said once`, async (t) => {
    const place = await makePlace(t);
    const { queue, faults } = faultyQueue(place);
    const errors: string[] = [];
    faults.claim = code;
    await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
    const worker = watch(place, { queue, logger: { ...silentLogger, error: (message) => errors.push(message) } });
    await until(() => worker.trouble() !== undefined);
    const since = worker.trouble()?.since;
    // Some more probes.
    let looks = 0;
    await until(() => ++looks > 50);
    assert.equal(worker.trouble()?.since, since);
    assert.equal(errors.length, 1);
    faults.claim = undefined;
    await until(async () => (await states(place, ['a']))[0] === 'completed 1');
  });
}

for (const ends of ['stopped', 'drained'] as const) {
  test(`a damaged queue ends the worker at once (until it is ${ends})`, async (t) => {
    const place = await makePlace(t);
    const { queue, faults } = faultyQueue(place);
    faults.claim = 'queue_damaged';
    await assert.rejects(work(place, { queue, until: ends, troublePatience: QUICK_PATIENCE }), {
      code: 'queue_damaged',
    });
  });
}

test('a drain whose queue refuses for too long ends with the reason', async (t) => {
  const place = await makePlace(t);
  const { queue, faults } = faultyQueue(place);
  faults.claim = 'queue_unauthorized';
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  const troublePatience = { ...QUICK_PATIENCE, drainMs: 50 };
  await assert.rejects(work(place, { queue, troublePatience }), { code: 'queue_unauthorized' });
  assert.deepEqual(await states(place, ['a']), ['pending 0']);
});

test('a drain that leaves what nobody may claim says how many there are, at once', async (t) => {
  const place = await makePlace(t);
  const { queue, faults } = faultyQueue(place);
  faults.claim = 'queue_refused';
  faults.drainState = { isDrained: true, refused: 3, stuck: 2 };
  await assert.rejects(work(place, { queue }), (error) => {
    assert.ok(error instanceof Text2ImgError && error.code === 'jobs_left', String(error));
    assert.match(error.message, /3 pending that the database refuses to change, 2 processing/);
    return true;
  });
});

test('a completion that the queue does not take gives the attempt back, and the stored images are adopted', async (t) => {
  const place = await makePlace(t);
  const { queue, faults } = faultyQueue(place);
  faults.complete = 'disk_full';
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  const worker = watch(place, { queue, leaseMs: 300 });
  await until(() => worker.trouble() !== undefined);
  faults.complete = undefined;
  await until(async () => (await states(place, ['a']))[0] === 'completed 1');
  assert.equal(worker.drawings('a'), 1);
});
