/** torch's CPU noise. `vectors.json` is the output of `reference/make_noise_vectors.py` (torch 2.15). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { TorchCpuGenerator } from '../../src/noise/torch-cpu-random.ts';

interface Vectors {
  readonly normals: readonly {
    readonly seed: number;
    readonly calls: readonly number[];
    readonly ends: readonly (readonly number[])[];
  }[];
  readonly digests: readonly { readonly seed: number; readonly count: number; readonly sha256: string }[];
  readonly integers: readonly {
    readonly seed: number;
    readonly first: readonly number[];
    readonly last: readonly number[];
  }[];
}

const vectors = JSON.parse(await readFile(new URL('vectors.json', import.meta.url), 'utf8')) as Vectors;

test('random integers are exactly those of torch, beyond the first refill of the state', () => {
  for (const { seed, first, last } of vectors.integers) {
    const generator = new TorchCpuGenerator(seed);
    // torch draws 64 bits for a range this wide and keeps the low half: the second of each pair.
    const pairs = Array.from({ length: 1300 }, () => [generator.randomUint32(), generator.randomUint32()]);
    const drawn = pairs.map((pair) => pair[1]);
    assert.deepEqual([drawn.slice(0, 3), drawn.slice(-3)], [first, last], `seed ${seed}`);
  }
});

test('normals have the bits of torch’s for every seed and sequence of sizes', () => {
  for (const { seed, calls, ends } of vectors.normals) {
    const generator = new TorchCpuGenerator(seed);
    for (const [call, count] of calls.entries()) {
      const drawn = [...generator.next(count).subarray(-20)];
      assert.deepEqual(drawn, ends[call], `seed ${seed}, sizes ${calls.join()}, call ${call}`);
    }
  }
});

test('many normals have the bits of torch’s', () => {
  for (const { seed, count, sha256 } of vectors.digests) {
    const { buffer } = new TorchCpuGenerator(seed).next(count);
    assert.equal(createHash('sha256').update(new Uint8Array(buffer)).digest('hex'), sha256, `seed ${seed}`);
  }
});

test('the same seed gives the same noise', () => {
  assert.deepEqual(new TorchCpuGenerator(5).next(100), new TorchCpuGenerator(5).next(100));
});
