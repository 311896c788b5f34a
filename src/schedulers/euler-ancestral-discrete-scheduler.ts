/**
 * Ancestral sampling with Euler steps: each step removes more noise than it must and adds fresh noise. The last step generates its noise too,
 * although the weight there is zero.
 * Source: diffusers schedulers/scheduling_euler_ancestral_discrete.py, EulerAncestralDiscreteScheduler.
 */
import { interpolate } from '../lib/float32.ts';
import {
  cumulatedAlphas,
  requireSteps,
  sigmaOf,
  spreadTimesteps,
  TRAINING_DEFAULTS,
  withDefaults,
} from './noise-schedule.ts';
import { firstPassOf, passAt } from './passes.ts';
import { varianceExploding } from './prediction.ts';
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
import { rootOfSquarePlusOne, withUnitVariance } from './sigma-timetable.ts';
import { trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

class EulerAncestralDiscreteScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #predictionType: string;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: used, timestep_spacing: spacing, steps_offset: offset } = settings;
    requireSteps(steps, 1, used);
    this.#predictionType = settings.prediction_type;
    const trained = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    }).map(sigmaOf);
    const timesteps = spreadTimesteps({ spacing, steps, used, offset, round: f32 });
    this.passes = timesteps.map((timestep) => ({ timestep, sigma: f32(interpolate(trained, timestep)) }));
    const largest = this.passes.reduce((most, { sigma }) => Math.max(most, sigma), 0);
    this.initNoiseSigma = spacing === 'leading' ? rootOfSquarePlusOne(largest) : largest;
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    return withUnitVariance(sample, passAt(this.passes, pass).sigma);
  }

  step({ modelOutput, sample, pass, noise }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    const next = this.passes[pass + 1]?.sigma ?? 0;
    const [squared, nextSquared] = [f32(sigma * sigma), f32(next * next)];
    const up = f32(Math.sqrt(f32(f32(nextSquared * f32(squared - nextSquared)) / squared)));
    // Below zero by rounding alone, where the first sigma is thousands of times the second; diffusers ends in NaN there.
    const down = f32(Math.sqrt(Math.max(0, f32(nextSquared - f32(up * up)))));
    const difference = f32(down - sigma);
    const originalOf = varianceExploding(this.#predictionType, sigma);
    const fresh = noise.next(sample.length);
    const original = new Float32Array(sample.length);
    const result = new Float32Array(sample.length);
    for (let index = 0; index < result.length; index++) {
      const value = sample[index] as number;
      const image = originalOf(value, modelOutput[index] as number);
      const derivative = f32(f32(value - image) / sigma);
      original[index] = image;
      result[index] = f32(value + f32(derivative * difference)) + f32((fresh[index] as number) * up);
    }
    return { sample: result, original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }
}

export const EULER_ANCESTRAL: SchedulerClass = {
  className: 'EulerAncestralDiscreteScheduler',
  rules: trainedRules({
    keys: (z) => ({ rescale_betas_zero_snr: z.boolean(), prediction_type: z.enum(['epsilon', 'v_prediction']) }),
  }),
  names: [{ name: 'euler_a', settings: {}, sampler: 'Euler a', aliases: ['euler_ancestral'] }],
  scheduleTypes: ['sgm_uniform', 'normal'],
  create: (config, options) => new EulerAncestralDiscreteScheduler(config, options),
};
