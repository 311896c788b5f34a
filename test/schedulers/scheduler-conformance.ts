/** What every scheduler must do whatever its method is: the pipeline relies on it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { NoiseSource } from '../../src/noise/noise-source.ts';
import { imageNoise } from '../../src/noise/image-noise.ts';
import { TorchCpuGenerator } from '../../src/noise/torch-cpu-random.ts';
import type { Scheduler, SchedulerClass } from '../../src/schedulers/scheduler.ts';

const CONFIG = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  skip_prk_steps: true,
  steps_offset: 1,
  clip_sample: false,
  // Of consistency models, which do no more steps than these.
  original_inference_steps: 1000,
};

/** How far the last sample may be from the image that the network knows. */
function toleranceOf(name: string, firstPass: number): number {
  // These mix the network's last outputs, which a loop that begins later does not have.
  if (name === 'PNDMScheduler' || name === 'LMSDiscreteScheduler') return firstPass > 0 ? 0.2 : 1e-5;
  // These end at the lowest sigma of training and leave its noise.
  return ['TCDScheduler', 'DEISMultistepScheduler', 'SASolverScheduler'].includes(name) ? 0.2 : 1e-5;
}

/** Their timesteps are logarithms of sigmas, and their networks predict neither the noise nor the image. */
function isEdm(name: string): boolean {
  return name.startsWith('EDM');
}

/** The output that stands for the image (arXiv 2206.00364, equation 7, with σ of the data 0.5). */
function edmOutput(value: number, original: number, sigma: number): number {
  const total = sigma ** 2 + 0.25;
  return ((original - (0.25 / total) * value) * Math.sqrt(total)) / (0.5 * sigma);
}

function halves(scheduler: Scheduler, sample: Float32Array, pass: number): Float32Array {
  return scheduler.scaleModelInput(sample, pass).map((value) => value / 2);
}

function loop(scheduler: Scheduler, start: Float32Array, noise: NoiseSource): Float32Array {
  let sample = start;
  for (const pass of scheduler.passes.keys())
    sample = scheduler.step({ modelOutput: halves(scheduler, sample, pass), pass, sample, noise }).sample;
  return sample;
}

function sameNoise(values: Float32Array): NoiseSource {
  return { next: () => values, between: () => values };
}

export function schedulerConformance({ className: name, create: createClass }: SchedulerClass): void {
  const create = (config: Readonly<Record<string, unknown>>, steps: number): Scheduler =>
    createClass(config, { steps });
  suite(`${name} keeps the scheduler contract`, () => {
    test('timesteps go down from at most the last trained one to at least 0, at most two for each step', () => {
      for (const steps of [1, 2, 3, 10, 50, 999]) {
        const timesteps = create(CONFIG, steps).passes.map(({ timestep }) => timestep);
        // Heun's method calls the network twice a step.
        assert.ok(timesteps.length >= steps && timesteps.length <= 2 * steps, `${steps} steps`);
        // The middle of an ancestral step is the next sigma itself, but for rounding.
        assert.ok(
          timesteps.every((timestep, index) => index === 0 || timestep <= (timesteps[index - 1] as number) + 1),
        );
        assert.ok((timesteps[0] as number) <= 1000 && (timesteps.at(-1) as number) >= (isEdm(name) ? -2 : 0));
      }
    });

    test('sigmas go down with the timesteps and are what addNoise adds, relative to the signal', () => {
      const scheduler = create(CONFIG, 12);
      const [zero, one] = [Float32Array.of(0), Float32Array.of(1)];
      for (const [pass, { sigma }] of scheduler.passes.entries()) {
        assert.ok(
          sigma > 0 && sigma <= 1.001 * (scheduler.passes[pass - 1]?.sigma ?? Number.POSITIVE_INFINITY),
          `pass ${pass}`,
        );
        const added = scheduler.addNoise({ original: zero, noise: one, pass })[0] as number;
        const signal = scheduler.addNoise({ original: one, noise: zero, pass })[0] as number;
        assert.ok(Math.abs(added / signal / sigma - 1) < 1e-5, `pass ${pass}: ${added} / ${signal}, sigma ${sigma}`);
      }
    });

    test('a network that knows the image gets it back, from whichever pass the loop begins', () => {
      const original = new TorchCpuGenerator(4).next(24);
      const [zero, one] = [Float32Array.of(0), Float32Array.of(1)];
      for (const strength of [0.3, 0.75, 1]) {
        const scheduler = create({ ...CONFIG, set_alpha_to_one: true }, 20);
        const noise = imageNoise(5, scheduler.noiseInterval);
        const firstPass = scheduler.firstPass(strength);
        let sample = scheduler.addNoise({ original, noise: noise.next(24), pass: firstPass });
        for (let pass = firstPass; pass < scheduler.passes.length; pass++) {
          const signal = scheduler.addNoise({ original: one, noise: zero, pass })[0] as number;
          const added = scheduler.addNoise({ original: zero, noise: one, pass })[0] as number;
          const modelOutput = sample.map((value, index) => {
            const known = original[index] as number;
            return isEdm(name) ? edmOutput(value, known, added) : (value - signal * known) / added;
          });
          sample = scheduler.step({ modelOutput, pass, sample, noise }).sample;
        }
        const tolerance = toleranceOf(name, firstPass);
        for (const [index, value] of sample.entries())
          assert.ok(
            Math.abs(value - (original[index] as number)) < tolerance,
            `strength ${strength}: ${value}, not ${original[index]}`,
          );
      }
    });

    test('a pass that is not there is refused, and a method that looks back refuses one that is out of order', () => {
      const sample = Float32Array.of(0.5, -1, 2);
      const step = (scheduler: Scheduler, pass: number): Float32Array =>
        scheduler.step({ modelOutput: sample, sample, pass, noise: sameNoise(sample) }).sample;
      const isInternal = (error: unknown): boolean => error instanceof Text2ImgError && error.code === 'internal';
      for (const pass of [-1, 0.5, create(CONFIG, 6).passes.length, Number.NaN]) {
        assert.throws(() => step(create(CONFIG, 6), pass), isInternal, `pass ${pass}`);
        assert.throws(() => create(CONFIG, 6).addNoise({ original: sample, noise: sample, pass }), isInternal);
      }
      for (const [again, what] of [
        [3, 'repeated'],
        [2, 'rewound'],
        [5, 'skipped'],
      ] as const) {
        const scheduler = create(CONFIG, 6);
        step(scheduler, 2);
        step(scheduler, 3);
        let second: Float32Array;
        try {
          second = step(scheduler, again);
        } catch (error) {
          assert.ok(isInternal(error), String(error));
          assert.match(String(error), new RegExp(`pass ${again}.*pass 4`));
          // A refused pass changes nothing.
          assert.ok(step(scheduler, 4).every(Number.isFinite));
          continue;
        }
        assert.deepEqual(second, step(create(CONFIG, 6), again), `a ${what} pass gives what it gives alone`);
      }
    });

    test('a step leaves its inputs as they were', () => {
      const scheduler = create(CONFIG, 3);
      const sample = Float32Array.of(0.5, -1, 2);
      const modelOutput = Float32Array.of(0.1, 0.2, -0.3);
      const fresh = Float32Array.of(1, 1, 1);
      for (const pass of scheduler.passes.keys()) {
        scheduler.scaleModelInput(sample, pass);
        scheduler.addNoise({ original: sample, noise: fresh, pass });
        scheduler.step({ modelOutput, pass, sample, noise: sameNoise(fresh) });
      }
      assert.deepEqual(
        [...sample, ...modelOutput, ...fresh],
        [...Float32Array.of(0.5, -1, 2, 0.1, 0.2, -0.3, 1, 1, 1)],
      );
    });

    test('an image of a batch ends bit for bit as it does alone', () => {
      const [first, second] = [new TorchCpuGenerator(1).next(32), new TorchCpuGenerator(2).next(32)];
      const both = Float32Array.of(...first, ...second);
      const noises = (seeds: readonly number[]): NoiseSource => {
        const sources = seeds.map((seed) => imageNoise(seed, create(CONFIG, 6).noiseInterval));
        const joined = (of: (source: NoiseSource) => Float32Array | undefined): Float32Array =>
          Float32Array.from(sources.flatMap((source) => Array.from(of(source) ?? [])));
        return {
          next: () => joined((source) => source.next(32)),
          between: (from, to) => joined((source) => source.between?.(from, to, 32)),
        };
      };
      const together = loop(create(CONFIG, 6), both, noises([1, 2]));
      const alone = loop(create(CONFIG, 6), second, noises([2]));
      assert.deepEqual(together.slice(32), alone);
    });

    test('every result is finite, also with one step and with nearly as many as were trained', () => {
      for (const steps of [1, 999]) {
        const scheduler = create(CONFIG, steps);
        const generator = imageNoise(3, scheduler.noiseInterval);
        const start = generator.next(16).map((value) => value * scheduler.initNoiseSigma);
        assert.ok(loop(scheduler, start, generator).every(Number.isFinite), `${steps} steps`);
      }
    });

    test('a cosine schedule, whose first sigma is thousands of times the second, ends in finite numbers', () => {
      for (const steps of [2, 4, 20]) {
        const config = { ...CONFIG, beta_schedule: 'squaredcos_cap_v2', timestep_spacing: 'linspace' };
        const scheduler = create({ ...config, prediction_type: 'v_prediction' }, steps);
        const generator = imageNoise(3, scheduler.noiseInterval);
        const start = generator.next(16).map((value) => value * scheduler.initNoiseSigma);
        assert.ok(loop(scheduler, start, generator).every(Number.isFinite), `${steps} steps`);
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
