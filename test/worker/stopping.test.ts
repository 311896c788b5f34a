/** A stop is over soon after the grace period, whatever hangs, and what was held is given back where the queue answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import type { ImageStore } from '../../src/storage/image-store.ts';
import type { PromptQueue } from '../../src/queue/prompt-queue.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import { makeAilment } from '../engine/instant-engine.ts';
import { makePlace, type Place, states, until, watch } from './place.ts';

/** With 100 ms of grace a stop takes 2.1 s where nothing answers. */
const ENDS = { timeout: 60_000 };
const GRACE_MS = 100;

function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

/** The real one, of which some methods never answer. */
function hanging<T extends object>(real: T, names: readonly (keyof T)[], began: () => void): T {
  return new Proxy<T>(real, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (!names.includes(name as keyof T)) return value.bind(target);
      return () => {
        began();
        return never();
      };
    },
  });
}

function realStore({ folder }: Place): ImageStore {
  return new FileImageStore(folder, { prefix: DEFAULT_OBJECT_PREFIX });
}

test('the engine hangs in a step', ENDS, async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: '[hang]' }]);
  const worker = watch(place, { graceMs: GRACE_MS });
  await until(() => worker.drawings('a') > 0);
  assert.equal((await worker.stop()).released, 1);
  assert.deepEqual(await states(place, ['a']), ['pending 0']);
});

test('the engine hangs while it loads its model again', ENDS, async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue([{ _id: 'a', text: '[kill]' }]);
  const worker = watch(
    place,
    { graceMs: GRACE_MS, onEvent: (event) => void (event.type === 'claimed' && set('load hangs')) },
    { environment },
  );
  await until(async () => (await states(place, ['a']))[0] === 'processing 1');
  await until(async () => (await place.queue.show('a'))?.owner === undefined);
  await worker.stop();
});

for (const method of ['find', 'put'] as const) {
  test(`the store hangs in ${method}, and heeds no signal`, ENDS, async (t) => {
    const place = await makePlace(t);
    let isHanging = false;
    const store = hanging(realStore(place), [method], () => (isHanging = true));
    await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
    const worker = watch(place, { graceMs: GRACE_MS, store });
    await until(() => isHanging);
    await worker.stop();
  });
}

test('the probe of a store hangs', ENDS, async (t) => {
  const place = await makePlace(t);
  let isHanging = false;
  const broken = Object.assign(realStore(place), { put: () => Promise.reject(new Error('gone')) });
  const store = hanging(broken, ['probe'], () => (isHanging = true));
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  const worker = watch(place, { graceMs: GRACE_MS, store });
  await until(() => isHanging || worker.events.some(({ type }) => type === 'failed'));
  await worker.stop();
});

for (const methods of [
  ['claim'],
  ['reap'],
  ['msUntilNextDue'],
  ['complete'],
  ['complete', 'release', 'renew'],
] as const satisfies readonly (readonly (keyof PromptQueue)[])[]) {
  test(`the queue hangs in ${methods.join(', ')}, and heeds no signal`, ENDS, async (t) => {
    const place = await makePlace(t);
    let isHanging = false;
    const queue = hanging<PromptQueue>(place.queue, methods, () => (isHanging = true));
    await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
    const worker = watch(place, { graceMs: GRACE_MS, queue });
    await until(() => isHanging);
    await worker.stop();
  });
}

test('nothing hangs: what is drawn within the grace period is completed', ENDS, async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: '[slow 20]', num_inference_steps: 10 }]);
  const worker = watch(place, { graceMs: 20_000 });
  await until(() => worker.drawings('a') > 0);
  assert.equal((await worker.stop()).completed, 1);
});
