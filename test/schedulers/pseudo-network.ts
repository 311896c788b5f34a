/** The network of the scheduler vectors: as `reference/make_scheduler_vectors.py` and `make_image_start_vectors.py` compute it. */
import type { NoiseSource } from '../../src/noise/noise-source.ts';
import type { Scheduler } from '../../src/schedulers/scheduler.ts';

interface PseudoLoop {
  readonly scheduler: Scheduler;
  readonly start: Float32Array;
  readonly firstPass: number;
  readonly noise: NoiseSource;
}

/** From `firstPass` to the end. @returns the last sample, and what each pass predicted of the image */
export function pseudoLoop({ scheduler, start, firstPass, noise }: PseudoLoop): {
  readonly sample: Float32Array;
  readonly predicted: readonly (Float32Array | undefined)[];
} {
  let sample = start;
  const predicted: (Float32Array | undefined)[] = [];
  for (let pass = firstPass; pass < scheduler.passes.length; pass++) {
    const timestep = scheduler.passes[pass]?.timestep ?? Number.NaN;
    const fraction = Math.fround(timestep / (timestep + 100));
    const modelOutput = scheduler
      .scaleModelInput(sample, pass)
      .map((value) => Math.fround(value * fraction) + Math.fround(0.1));
    const result = scheduler.step({ modelOutput, sample, pass, noise });
    sample = result.sample;
    predicted.push(result.original);
  }
  return { sample, predicted };
}
