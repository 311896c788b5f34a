/**
 * Heun's method on the probability-flow ODE (arXiv 2206.00364, algorithm 2 without churn). Each step goes to the next sigma. There it asks the network
 * again, and goes from its start with the mean of both derivatives. The last step goes to 0 at once, so n steps take 2n − 1 passes.
 * Source: diffusers schedulers/scheduling_heun_discrete.py, HeunDiscreteScheduler.
 */
import { interpolate } from '../lib/float32.ts';
import { TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
import { firstPassOf, passAt, PassOrder } from './passes.ts';
import { varianceExploding } from './prediction.ts';
import { SCHEDULE_TYPES } from './schedule-types.ts';
import type {
  NoisedSample,
  Scheduler,
  SchedulerClass,
  SchedulerConfig,
  SchedulerOptions,
  SchedulerPass,
  SchedulerStep,
  SchedulerStepResult,
} from './scheduler.ts';
import { PLAIN_SPACING } from './sigma-schedules.ts';
import { rootOfSquarePlusOne, sigmaTimetable, withUnitVariance } from './sigma-timetable.ts';
import { clipped } from './thresholding.ts';
import { sigmaSpacingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...PLAIN_SPACING,
  beta_start: 0.00085,
  beta_end: 0.012,
  prediction_type: 'epsilon',
  clip_sample: false,
  clip_sample_range: 1,
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

/** The first half of a step. */
interface HalfStep {
  readonly sample: Float32Array;
  readonly derivative: Float32Array;
  readonly distance: number;
}

class HeunDiscreteScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #settings: typeof DEFAULTS;
  readonly #count: number;
  readonly #order = new PassOrder();
  #half: HalfStep | undefined;

  constructor(config: SchedulerConfig, { steps, timesteps: byHand }: SchedulerOptions) {
    this.#settings = withDefaults(DEFAULTS, config);
    this.#count = steps;
    const table = sigmaTimetable(this.#settings, steps, { hasWholeKarras: false });
    const timesteps = byHand ?? table.timesteps;
    const sigmas = byHand?.map((timestep) => f32(interpolate(table.trained, timestep))) ?? table.sigmas;
    this.passes = timesteps.flatMap((timestep, step) => {
      const pass = { timestep, sigma: sigmas[step] as number };
      return step === 0 ? [pass] : [pass, pass];
    });
    const largest = Math.max(...sigmas);
    this.initNoiseSigma = this.#settings.timestep_spacing === 'leading' ? rootOfSquarePlusOne(largest) : largest;
  }

  firstPass(strength: number): number {
    return 2 * firstPassOf(strength, this.#count);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    return withUnitVariance(sample, passAt(this.passes, pass).sigma);
  }

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    this.#order.enter(pass);
    const original = this.#originalOf(sample, modelOutput, sigma);
    const derivative = sample.map((value, index) => f32(value - (original[index] as number)) / sigma);
    if (pass % 2 === 0) {
      const distance = f32((this.passes[pass + 1]?.sigma ?? 0) - sigma);
      this.#half = { sample, derivative, distance };
      return { sample: moved(sample, derivative, distance), original };
    }
    const half = this.#half;
    // A loop that begins here stands at this sigma already.
    if (half === undefined) return { sample, original };
    const mean = derivative.map((value, index) => f32((half.derivative[index] as number) + value) / 2);
    return { sample: moved(half.sample, mean, half.distance), original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }

  #originalOf(sample: Float32Array, modelOutput: Float32Array, sigma: number): Float32Array {
    const { prediction_type: type, clip_sample: clip, clip_sample_range: range } = this.#settings;
    const originalOf = varianceExploding(type, sigma);
    const original = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    return clip ? clipped(original, range) : original;
  }
}

function moved(sample: Float32Array, derivative: Float32Array, distance: number): Float32Array {
  return sample.map((value, index) => value + f32((derivative[index] as number) * distance));
}

export const HEUN: SchedulerClass = {
  className: 'HeunDiscreteScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...sigmaSpacingKeys(z),
      clip_sample: z.boolean(),
      clip_sample_range: z.number().positive(),
    }),
  }),
  names: [{ name: 'heun', settings: {}, sampler: 'Heun' }],
  takes: ['timesteps'],
  scheduleTypes: SCHEDULE_TYPES,
  create: (config, options) => new HeunDiscreteScheduler(config, options),
};
