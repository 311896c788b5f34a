/** Runs are compared with what is free, before they are made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryBudget } from '../../../src/engine/child/memory-budget.ts';
import { NetworkMemory } from '../../../src/engine/child/network-memory.ts';

const MB = 2 ** 20;

/** Takes as many MB as its latents have columns. */
function network(weightMb: number): NetworkMemory {
  return new NetworkMemory({
    weightBytes: weightMb * MB,
    livingAt: ({ width = 0 }) => Math.max(0, ((width - 16) * MB) / 1.75),
  });
}

const columns = (width: number) => ({ batch: 1, height: 1, width });

test('weights and activations count together, and what the network holds already counts as free', () => {
  const memory = network(100);
  let free = 149;
  const budget = new MemoryBudget({ oneAtATime: false, freeBytes: () => free * MB });
  const shortage = () => budget.shortage([{ memory, sizes: columns(50) }]);
  assert.deepEqual(shortage(), { needBytes: 150 * MB, freeBytes: 149 * MB });
  free = 150;
  assert.equal(shortage(), undefined);
  // The weights lie in the process now.
  memory.loaded(110 * MB);
  free = 40;
  assert.equal(shortage(), undefined);
  free = 39;
  assert.deepEqual(shortage(), { needBytes: 150 * MB, freeBytes: 149 * MB });
});

test('a size that ran is not asked about again, and another one is', () => {
  const memory = network(10);
  const budget = new MemoryBudget({ oneAtATime: false, freeBytes: () => 10 * MB });
  memory.ran(columns(50), 50 * MB);
  assert.equal(budget.shortage([{ memory, sizes: columns(50) }]), undefined);
  assert.ok(budget.shortage([{ memory, sizes: columns(49) }]) === undefined, 'less than it holds already');
  assert.ok(budget.shortage([{ memory, sizes: columns(80) }]) !== undefined);
});

test('networks that stay in memory add up, and networks that take turns do not', () => {
  const [first, second] = [network(10), network(10)];
  const runs = [
    { memory: first, sizes: columns(40) },
    { memory: second, sizes: columns(40) },
  ];
  const shortageAt = (freeMb: number, oneAtATime: boolean) =>
    new MemoryBudget({ oneAtATime, freeBytes: () => freeMb * MB }).shortage(runs);
  assert.deepEqual(shortageAt(89, false), { needBytes: 50 * MB, freeBytes: 49 * MB });
  assert.equal(shortageAt(90, false), undefined);
  assert.equal(shortageAt(50, true), undefined);
  assert.deepEqual(shortageAt(49, true), { needBytes: 50 * MB, freeBytes: 49 * MB });
});

test('where nobody knows what is free, everything fits', () => {
  const budget = new MemoryBudget({ oneAtATime: false, freeBytes: () => undefined });
  assert.equal(budget.shortage([{ memory: network(1e9), sizes: columns(1e9) }]), undefined);
});
