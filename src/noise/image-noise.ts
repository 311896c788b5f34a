/** All noise of one image, decided by its seed: normals one after the other, and for some schedulers a Brownian path between two sigmas. */
import { BrownianPath } from './brownian-path.ts';
import type { NoiseSource } from './noise-source.ts';
import { TorchCpuGenerator } from './torch-cpu-random.ts';

/** @param interval the scheduler's `noiseInterval`; without one there is no path */
export function imageNoise(seed: number, interval?: { readonly from: number; readonly to: number }): NoiseSource {
  const generator = new TorchCpuGenerator(seed);
  const next = (count: number): Float32Array => generator.next(count);
  if (interval === undefined) return { next };
  let path: BrownianPath | undefined;
  return {
    next,
    between(from, to, count) {
      path ??= new BrownianPath(seed, interval, count);
      const sign = from < to ? 1 : -1;
      const root = Math.fround(Math.sqrt(Math.fround(Math.abs(to - from))));
      return path.increment(Math.min(from, to), Math.max(from, to)).map((value) => (sign * value) / root);
    },
  };
}
