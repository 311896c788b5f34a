/** Engines that share a CPU load several models one after the other, and decide the same of each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedLoads } from '../../src/app/shared-loads.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { modelFacts as facts } from './a-model.ts';

const fits = (): void => undefined;

test('the first engine decides for all at the start, and the others load together after it', async () => {
  const loads = new SharedLoads(3);
  assert.deepEqual(loads.settingsFor('a'), { sharers: 3 });
  const first = Promise.withResolvers<ModelFacts>();
  const others = [Promise.withResolvers<ModelFacts>(), Promise.withResolvers<ModelFacts>()];
  const begun: string[] = [];
  const begin = (name: string, { promise }: PromiseWithResolvers<ModelFacts>) =>
    loads.load(
      'a',
      () => {
        begun.push(`${name} ${loads.settingsFor('a').lowMemory}`);
        return promise;
      },
      fits,
    );
  const loading = [begin('1', first), ...others.map((other, index) => begin(`${index + 2}`, other))];
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, ['1 undefined']);
  first.resolve(facts({ lowMemory: true }));
  await loading[0];
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, ['1 undefined', '2 on', '3 on'], 'the third does not wait for the second');
  const pinned = { runtime: 'openvino', runtimeReason: 'measured' };
  assert.deepEqual(loads.settingsFor('a'), { sharers: 3, lowMemory: 'on', ...pinned });
  for (const other of others) other.resolve(facts());
  await Promise.all(loading);
  loads.started();
  assert.deepEqual(loads.settingsFor('a'), pinned, 'later each load looks at the memory of its own time');
  assert.deepEqual(loads.settingsFor('b'), {});
});

test('after the start one engine loads at a time, and a load that fails decides nothing and blocks nobody', async () => {
  const loads = new SharedLoads(2);
  loads.started();
  const slow = Promise.withResolvers<ModelFacts>();
  const begun: string[] = [];
  const failing = loads.load('b', () => slow.promise, fits);
  const next = loads.load(
    'b',
    async () => {
      begun.push('next');
      return facts();
    },
    fits,
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, []);
  slow.reject(new Error('no memory'));
  await assert.rejects(failing, /no memory/);
  await next;
  assert.equal(loads.settingsFor('b').runtime, 'openvino');
  const misfit = (): never => {
    throw new Error('took a GPU');
  };
  await assert.rejects(
    loads.load('c', async () => facts(), misfit),
    /took a GPU/,
  );
  assert.deepEqual(loads.settingsFor('c'), {});
});
