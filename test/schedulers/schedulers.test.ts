/**
 * Every scheduler over a whole loop, compared with diffusers 0.40. `vectors.json` is the output of
 * `reference/make_scheduler_vectors.py`; the pseudo network here is the one there.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { TorchCpuGenerator } from '../../src/noise/torch-cpu-random.ts';
import { createScheduler } from '../../src/schedulers/scheduler-registry.ts';
import { SCHEDULER_CLASSES } from '../../src/schedulers/scheduler-names.ts';
import { schedulerConformance } from './scheduler-conformance.ts';

interface Vector {
  readonly scheduler: string;
  readonly steps: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly timesteps: readonly number[];
  readonly initNoiseSigma: number;
  readonly result: readonly number[];
}

const vectors = JSON.parse(await readFile(new URL('vectors.json', import.meta.url), 'utf8')) as Vector[];

function runLoop({ scheduler: name, config, steps, result }: Vector): {
  readonly sample: Float32Array;
  readonly timesteps: readonly number[];
  readonly sigma: number;
} {
  const scheduler = createScheduler(name, { configFor: () => config }, steps);
  const generator = new TorchCpuGenerator(7);
  let sample = Float32Array.from(result, (_, index) => Math.fround(Math.sin(1.3 * index)) * scheduler.initNoiseSigma);
  for (const timestep of scheduler.timesteps) {
    const fraction = Math.fround(timestep / (timestep + 100));
    const modelOutput = scheduler
      .scaleModelInput(sample, timestep)
      .map((value) => Math.fround(value * fraction) + Math.fround(0.1));
    sample = Float32Array.from(
      scheduler.step({ modelOutput, timestep, sample, noise: () => generator.randn(result.length) }),
    );
  }
  return { sample, timesteps: scheduler.timesteps, sigma: scheduler.initNoiseSigma };
}

suite('schedulers give what diffusers gives', () => {
  for (const name of SCHEDULER_CLASSES) {
    const own = vectors.filter((vector) => vector.scheduler === name);
    test(`${name}: ${own.length} loops end within 1e-5 of diffusers, at the same timesteps`, () => {
      assert.ok(own.length > 0);
      for (const vector of own) {
        const what = `${name} ${vector.steps} steps ${JSON.stringify(vector.config)}`;
        const { sample, timesteps, sigma } = runLoop(vector);
        assert.deepEqual([timesteps.length], [vector.timesteps.length], what);
        for (const [index, timestep] of timesteps.entries()) {
          // Fractional ones are float32 in diffusers and take part in the time embedding.
          assert.ok(
            Math.abs(timestep - (vector.timesteps[index] as number)) <= 1e-3,
            `${what}: timestep ${index} is ${timestep}, not ${vector.timesteps[index]}`,
          );
        }
        assert.ok(
          Math.abs(sigma / vector.initNoiseSigma - 1) < 1e-6,
          `${what}: sigma ${sigma}, not ${vector.initNoiseSigma}`,
        );
        const scale = Math.max(1, ...vector.result.map(Math.abs));
        for (const [index, value] of sample.entries()) {
          const expected = vector.result[index] as number;
          assert.ok(
            Math.abs(value - expected) <= 1e-5 * scale,
            `${what}: element ${index} is ${value}, not ${expected}`,
          );
        }
      }
    });
  }
});

for (const name of SCHEDULER_CLASSES) {
  schedulerConformance(name, (config, steps) => createScheduler(name, { configFor: () => config }, steps));
}
