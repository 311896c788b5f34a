/** Time spans as people read them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationText } from '../../src/lib/duration-text.ts';

test('a time span has at most two units, and never 60 of one', () => {
  const spans: readonly [number, string][] = [
    [-5, '0.0 s'],
    [0, '0.0 s'],
    [4940, '4.9 s'],
    [9949, '9.9 s'],
    [9950, '10 s'],
    [59_499, '59 s'],
    [59_500, '1 min'],
    [131_000, '2 min 11 s'],
    [3_599_600, '1 h'],
    [11_100_000, '3 h 5 min'],
    [86_400_000, '1 d'],
    [198_000_000, '2 d 7 h'],
  ];
  for (const [ms, text] of spans) assert.equal(durationText(ms), text);
});
