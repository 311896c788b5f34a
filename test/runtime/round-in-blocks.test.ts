/** Rounding weights to 8 bits: the error of each number, and numbers that are none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roundInBlocks } from '../../src/runtime/round-in-blocks.ts';

/** What a runtime makes of it. */
function restored(values: Float32Array, block: number): number[] {
  const rounded = roundInBlocks(values, block);
  return Array.from(
    rounded.values,
    (value, index) => (value - 128) * (rounded.scales[Math.floor(index / block)] as number),
  );
}

test('a number differs by at most half a step of its block, and the largest of a block hardly at all', () => {
  const values = Float32Array.from({ length: 4 * 64 }, (_, k) => Math.sin(k * 1.7) * 10 ** ((k >> 6) * 3 - 5));
  const results = restored(values, 64);
  for (let start = 0; start < values.length; start += 64) {
    const block = values.subarray(start, start + 64);
    const largest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [index, value] of block.entries()) {
      const error = Math.abs((results[start + index] as number) - value);
      assert.ok(error <= (largest / 254) * 1.0001, `${start + index}: ${error}`);
      if (Math.abs(value) === largest) assert.ok(error <= largest * 1e-6);
    }
  }
});

test('a block of zeros stays zeros, and its neighbours have their own scale', () => {
  const values = new Float32Array(32).fill(0);
  values.set([2, -1], 16);
  assert.ok(
    restored(values, 16)
      .slice(0, 16)
      .every((value) => value === 0),
  );
  assert.deepEqual(restored(values, 16).slice(16, 18).map(Math.fround), [
    2,
    Math.fround(Math.round(-127 / 2) * Math.fround(2 / 127)),
  ]);
});

for (const bad of [Number.NaN, Infinity, -Infinity])
  test(`a block with ${bad} gives no finite product, as in float32`, () => {
    const values = new Float32Array(32).fill(1);
    values[3] = bad;
    const { scales } = roundInBlocks(values, 16);
    assert.equal(Number.isFinite(scales[0]), false);
    assert.equal(Number.isFinite(scales[1]), true);
  });
