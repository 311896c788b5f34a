/** Estimates of what runs take: by the graph, and by the runs that were watched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Measurement, NetworkMemory } from '../../../src/engine/child/network-memory.ts';
import { takenBytes } from '../../../src/pipelines/memory-need.ts';

const MB = 2 ** 20;
const square = (side: number) => ({ batch: 1, height: side, width: side });
const LIVING = 1024;

function memoryOf(known: readonly Measurement[] = [], kept: (readonly Measurement[])[] = []): NetworkMemory {
  return new NetworkMemory({
    weightBytes: 50 * MB,
    livingAt: ({ batch = 1, height = 1, width = 1 }) => batch * height * width * LIVING,
    known,
    onMeasured: (measurements) => void kept.push(measurements),
  });
}

test('before anything was measured the estimate follows the graph, at every size and batch', () => {
  const memory = memoryOf();
  assert.equal(memory.activationBytes(square(256)), takenBytes(64 * MB));
  assert.equal(memory.activationBytes({ ...square(256), batch: 3 }), takenBytes(192 * MB));
});

test('no size takes more than a larger one took, and larger ones keep the estimate', () => {
  const memory = memoryOf([{ livingBytes: 64 * MB, takenBytes: 70 * MB }]);
  assert.equal(memory.activationBytes(square(256)), 70 * MB);
  assert.equal(memory.activationBytes(square(250)), 70 * MB);
  assert.equal(memory.activationBytes(square(64)), takenBytes(4 * MB));
  assert.equal(memory.activationBytes(square(512)), takenBytes(256 * MB));
});

test('a network that took more than the estimate raises it for every size by as much', () => {
  const memory = memoryOf([{ livingBytes: 64 * MB, takenBytes: 256 * MB }]);
  const more = 256 * MB - takenBytes(64 * MB);
  assert.equal(memory.activationBytes(square(512)), takenBytes(256 * MB) + more);
  assert.equal(memory.activationBytes(square(64)), takenBytes(4 * MB) + more);
});

test('what a network holds is what loading and runs made the process grow', () => {
  const kept: (readonly Measurement[])[] = [];
  const memory = memoryOf([], kept);
  memory.loaded(55 * MB);
  assert.deepEqual([memory.heldBytes, memory.hasRun(square(64))], [55 * MB, false]);
  memory.ran(square(64), 6 * MB);
  memory.ran(square(64), 2 * MB);
  memory.ran(square(256), 60 * MB);
  // A smaller one after a larger one says nothing about itself.
  memory.ran(square(100), 5 * MB);
  assert.deepEqual(
    [memory.heldBytes, memory.heldByRunsBytes, memory.hasRun(square(64)), memory.hasRun({ ...square(64), batch: 2 })],
    [(55 + 73) * MB, 73 * MB, true, false],
  );
  assert.deepEqual(kept.at(-1), [
    { livingBytes: 4 * MB, takenBytes: 8 * MB },
    { livingBytes: 64 * MB, takenBytes: 68 * MB },
  ]);
  memory.rested();
  assert.equal(memory.heldBytes, 0);
});

test('a run that began with loading is no measurement, and neither are those after it until the network is loaded again', () => {
  const kept: (readonly Measurement[])[] = [];
  const memory = memoryOf([], kept);
  memory.ran(square(64), undefined);
  memory.ran(square(64), 5 * MB);
  assert.deepEqual([kept, memory.hasRun(square(64))], [[], true]);
  memory.loaded(50 * MB);
  memory.ran(square(64), 5 * MB);
  assert.deepEqual(kept, [[{ livingBytes: 4 * MB, takenBytes: 5 * MB }]]);
});

test('a run in memory that loading had left over is no measurement, in this process and out of a file', () => {
  const kept: (readonly Measurement[])[] = [];
  const memory = memoryOf([{ livingBytes: 256 * MB, takenBytes: 2 * MB }], kept);
  memory.loaded(500 * MB);
  memory.ran(square(256), MB);
  assert.deepEqual(kept, []);
  assert.equal(memory.activationBytes(square(256)), takenBytes(64 * MB));
});

test('only a bounded number of sizes is remembered, and one that is forgotten is compared with the free memory again', () => {
  const memory = memoryOf();
  const isKnown = (): number =>
    Array.from({ length: 2000 }, (_, side) => memory.hasRun(square(side))).filter(Boolean).length;
  for (let side = 0; side < 2000; side++) memory.ran(square(side), 0);
  assert.ok(memory.hasRun(square(1999)));
  assert.ok(isKnown() <= 500, `${isKnown()} sizes are remembered`);
});
