/** Runs are compared with what is free, before they are made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryBudget } from '../../../src/engine/child/memory-budget.ts';
import { NetworkMemory } from '../../../src/engine/child/network-memory.ts';
import type { Network } from '../../../src/runtime/contract.ts';
import { float32 } from '../../../src/runtime/tensors.ts';

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

/** A device on which other programs hold memory, too. */
class Meter {
  usedMb = 0;
  asked = 0;
  readonly totalMb: number;

  constructor(totalMb: number) {
    this.totalMb = totalMb;
  }

  memory(): { readonly freeBytes: number; readonly totalBytes: number } {
    this.asked++;
    return { freeBytes: (this.totalMb - this.usedMb) * MB, totalBytes: this.totalMb * MB };
  }
}

/** Takes memory of the device when it is opened, and at its largest run. */
function onDevice(meter: Meter, weightMb: number, runMb: number): Network {
  meter.usedMb += weightMb;
  let hasRun = false;
  return {
    run: async () => {
      if (!hasRun) meter.usedMb += runMb;
      hasRun = true;
      return {};
    },
    rest: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const latents = (width: number) => ({ sample: float32(new Float32Array(width), [1, 1, 1, width]) });

test('on a device the growth of its used memory is measured at new sizes, and no other run waits for the driver', async () => {
  const meter = new Meter(1000);
  const memory = network(100);
  const budget = new MemoryBudget({ oneAtATime: false, device: meter });
  const opened = await budget.watch(memory, async () => onDevice(meter, 100, 60));
  assert.equal(memory.heldBytes, 100 * MB);
  await opened.run(latents(50));
  assert.equal(memory.heldByRunsBytes, 60 * MB);
  const { asked } = meter;
  for (let pass = 0; pass < 20; pass++) await opened.run(latents(50));
  assert.equal(meter.asked, asked);
  assert.equal(budget.shortage([{ memory, sizes: columns(50) }]), undefined);
  assert.equal(budget.shortage([{ memory, sizes: columns(40) }]), undefined, 'less than a run that was made');
  assert.equal(meter.asked, asked, 'nothing is asked about what ran');
  // Measured, it takes 60 MB and not the 50 of the first estimate, so a larger one is expected to take more, too.
  meter.usedMb = 950;
  assert.ok(budget.shortage([{ memory, sizes: columns(130) }]) !== undefined);
});

test('a device’s first estimates are rough, so they make a batch smaller and refuse no image; what is certain refuses it', () => {
  const meter = new Meter(150);
  const memory = network(100);
  const budget = new MemoryBudget({ oneAtATime: false, device: meter });
  const runs = [{ memory, sizes: columns(80) }];
  // 64 MB live at once divided by 1.75, and the estimate is 80.
  assert.ok(budget.shortage(runs) !== undefined);
  assert.equal(budget.shortage(runs, 'refuse'), undefined);
  assert.ok(budget.shortage([{ memory, sizes: columns(120) }], 'refuse') !== undefined);
});

test('a neighbour that takes the device’s memory between two sizes makes the next batch smaller', () => {
  const meter = new Meter(300);
  const memory = network(100);
  const budget = new MemoryBudget({ oneAtATime: false, device: meter });
  assert.equal(budget.shortage([{ memory, sizes: columns(100) }]), undefined);
  meter.usedMb = 150;
  assert.ok(budget.shortage([{ memory, sizes: columns(100) }]) !== undefined);
});
