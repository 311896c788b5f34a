/** The measure of the tests that bound how time grows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthOf } from './growth.ts';

function count(steps: number): number {
  let sum = 0;
  for (let step = 0; step < steps; step++) sum = (sum * 31 + step) % 1_000_003;
  return sum;
}

test('what is linear grows about eight times for eight times the input, and a square 64 times', () => {
  const make = (size: number): number => size;
  const linear = growthOf({ make, use: (size) => count(size * 100), size: 1000, factor: 8 });
  const square = growthOf({ make, use: (size) => count(size * size), size: 1000, factor: 8 });
  assert.ok(linear > 4 && linear < 16, `${linear} times`);
  assert.ok(square > 32, `${square} times`);
});
