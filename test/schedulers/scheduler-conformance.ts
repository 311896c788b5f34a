/** What every scheduler must do whatever its method is: the pipeline relies on it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { TorchCpuGenerator } from '../../src/noise/torch-cpu-random.ts';
import type { Scheduler } from '../../src/schedulers/scheduler.ts';

type Factory = (config: Readonly<Record<string, unknown>>, numInferenceSteps: number) => Scheduler;

const CONFIG = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  skip_prk_steps: true,
  steps_offset: 1,
  clip_sample: false,
};

function loop(scheduler: Scheduler, start: Float32Array, noise: () => Float32Array): Float32Array {
  let sample = start;
  for (const timestep of scheduler.timesteps) {
    const modelOutput = scheduler.scaleModelInput(sample, timestep).map((value) => value / 2);
    sample = scheduler.step({ modelOutput, timestep, sample, noise });
  }
  return sample;
}

export function schedulerConformance(name: string, create: Factory): void {
  suite(`${name} keeps the scheduler contract`, () => {
    test('timesteps go down from at most the last trained one to at least 0, once for each step or once more', () => {
      for (const steps of [1, 2, 3, 10, 50, 999]) {
        const { timesteps } = create(CONFIG, steps);
        assert.ok(
          timesteps.length === steps || (name === 'PNDMScheduler' && timesteps.length === steps + 1),
          `${steps} steps`,
        );
        assert.ok(timesteps.every((timestep, index) => index === 0 || timestep <= (timesteps[index - 1] as number)));
        assert.ok((timesteps[0] as number) <= 1000 && (timesteps.at(-1) as number) >= 0);
      }
    });

    test('a step leaves its inputs as they were', () => {
      const scheduler = create(CONFIG, 3);
      const sample = Float32Array.of(0.5, -1, 2);
      const modelOutput = Float32Array.of(0.1, 0.2, -0.3);
      const fresh = Float32Array.of(1, 1, 1);
      for (const timestep of scheduler.timesteps) {
        scheduler.scaleModelInput(sample, timestep);
        scheduler.step({ modelOutput, timestep, sample, noise: () => fresh });
      }
      assert.deepEqual(
        [...sample, ...modelOutput, ...fresh],
        [...Float32Array.of(0.5, -1, 2, 0.1, 0.2, -0.3, 1, 1, 1)],
      );
    });

    test('an image of a batch ends bit for bit as it does alone', () => {
      const [first, second] = [new TorchCpuGenerator(1).randn(32), new TorchCpuGenerator(2).randn(32)];
      const both = Float32Array.of(...first, ...second);
      const noises = (seeds: readonly number[]): (() => Float32Array) => {
        const generators = seeds.map((seed) => new TorchCpuGenerator(seed));
        return () => Float32Array.from(generators.flatMap((generator) => Array.from(generator.randn(32))));
      };
      const together = loop(create(CONFIG, 6), both, noises([1, 2]));
      const alone = loop(create(CONFIG, 6), second, noises([2]));
      assert.deepEqual(together.slice(32), alone);
    });

    test('every result is finite, also with one step and with nearly as many as were trained', () => {
      for (const steps of [1, 999]) {
        const generator = new TorchCpuGenerator(3);
        const scheduler = create(CONFIG, steps);
        const start = generator.randn(16).map((value) => value * scheduler.initNoiseSigma);
        assert.ok(loop(scheduler, start, () => generator.randn(16)).every(Number.isFinite), `${steps} steps`);
      }
    });

    test('a number of steps that cannot be is refused with a sentence', () => {
      for (const steps of [0, -1, 1.5, Number.NaN, 1001]) {
        assert.throws(
          () => create(CONFIG, steps),
          (error) =>
            error instanceof Text2ImgError &&
            error.code === 'invalid_parameter' &&
            error.message.includes(String(steps)) &&
            /999|1000/.test(error.message),
        );
      }
    });
  });
}
