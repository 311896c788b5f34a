/** Numbers that are not finite are found wherever they stand, and counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notFinite } from '../../../src/pipelines/parts/check-image.ts';

const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9];

test('finite numbers are no fault, however large', () => {
  for (const length of LENGTHS)
    for (const value of [0, -0, 1, -3.4e38, 3.4e38, 1e-45])
      assert.equal(notFinite(new Float32Array(length).fill(value), 'the latents'), undefined);
});

test('one number that is not finite is found at every place', () => {
  for (const length of LENGTHS)
    for (let place = 0; place < length; place++)
      for (const value of [Number.NaN, Infinity, -Infinity]) {
        const numbers = new Float32Array(length).fill(1);
        numbers[place] = value;
        const fault = notFinite(numbers, 'the latents');
        assert.match(
          fault?.message ?? '',
          new RegExp(`^1 of the ${length} numbers of the latents are NaN or infinite`),
        );
      }
});

test('all numbers that are not finite are counted, also where they cancel each other', () => {
  const numbers = Float32Array.of(Infinity, -Infinity, 1, Number.NaN, Infinity, 2);
  assert.match(notFinite(numbers, 'the latents')?.message ?? '', /^4 of the 6 numbers/);
});
