/** Brownian paths, compared with torchsde 0.2.6. `brownian-vectors.json` is the output of `reference/make_brownian_vectors.py`. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { BrownianPath } from '../../src/noise/brownian-path.ts';
import { imageNoise } from '../../src/noise/image-noise.ts';
import { seedWords } from '../../src/noise/seed-sequence.ts';

interface Vector {
  readonly seed: number;
  readonly interval: readonly [number, number];
  readonly ends: readonly [number, number];
  readonly increments: readonly number[];
}

const vectors = JSON.parse(await readFile(new URL('brownian-vectors.json', import.meta.url), 'utf8')) as Vector[];

test('increments over any part of the interval are torchsde’s', () => {
  for (const { seed, interval, ends, increments } of vectors) {
    const path = new BrownianPath(seed, { from: interval[0], to: interval[1] }, increments.length);
    for (const [index, value] of path.increment(...ends).entries())
      assert.ok(
        Math.abs(value - (increments[index] ?? Number.NaN)) <= 2e-6 * Math.max(1, Math.abs(value)),
        `seed ${seed}, ${ends.join(' to ')}: element ${index} is ${value}, not ${increments[index]}`,
      );
  }
});

test('the path does not depend on what was asked before', () => {
  const interval = { from: 0.1, to: 3 };
  const [fresh, used] = [new BrownianPath(5, interval, 16), new BrownianPath(5, interval, 16)];
  for (const end of [0.2, 1.7, 2.9, 0.15]) used.increment(0.1, end);
  assert.deepEqual(used.increment(0.4, 1.1), fresh.increment(0.4, 1.1));
});

test('two parts add up to the whole, and points beyond the ends count as the ends', () => {
  const path = new BrownianPath(1, { from: 0, to: 2 }, 16);
  const [first, second] = [path.increment(0, 0.6), path.increment(0.6, 2)];
  for (const [index, value] of path.increment(-1, 5).entries())
    assert.ok(Math.abs((first[index] ?? 0) + (second[index] ?? 0) - value) < 1e-5);
});

test('the noise between two sigmas is an increment of unit variance, with the sign of its direction', () => {
  const noise = imageNoise(3, { from: 0.03, to: 14 });
  const [down, up] = [noise.between?.(9, 4, 4096), noise.between?.(4, 9, 4096)];
  assert.ok(down !== undefined && up !== undefined);
  assert.deepEqual(
    up.map((value) => -value),
    down,
  );
  const variance = down.reduce((sum, value) => sum + value * value, 0) / down.length;
  assert.ok(Math.abs(variance - 1) < 0.1, String(variance));
  assert.equal('between' in imageNoise(3), false, 'without an interval there is no path');
});

test('the words of a seed are numpy’s', () => {
  // python -c "import numpy as np; print(np.random.SeedSequence(7, spawn_key=(5, 3), pool_size=24).generate_state(4))"
  assert.deepEqual(seedWords(7, [5, 3], 4), [1167487741, 594211726, 3626736891, 2420502566]);
  assert.deepEqual(seedWords(2 ** 40 + 3, [1, 1], 2), [1486190919, 859710783]);
  assert.deepEqual(seedWords(7, [], 1), [1376543887]);
});
