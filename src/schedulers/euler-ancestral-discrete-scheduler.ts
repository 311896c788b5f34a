/**
 * Ancestral sampling with Euler steps: each step removes more noise than it must and adds fresh noise, drawn also in the last step, where its weight is zero.
 * Source: diffusers schedulers/scheduling_euler_ancestral_discrete.py, EulerAncestralDiscreteScheduler.
 */
import {
  cumulatedAlphas,
  interpolate,
  leadingTimesteps,
  numpyLinspace,
  requireSteps,
  TRAINING_DEFAULTS,
  trailingTimesteps,
  trainingSigmas,
  withDefaults,
} from './noise-schedule.ts';
import type { Scheduler, SchedulerStep } from './scheduler.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

export class EulerAncestralDiscreteScheduler implements Scheduler {
  readonly timesteps: readonly number[];
  readonly initNoiseSigma: number;
  readonly #isVelocity: boolean;
  /** One more than there are steps; the last is 0. */
  readonly #sigmas: Float32Array;
  #index = 0;

  /** @throws `invalid_parameter` */
  constructor(config: Readonly<Record<string, unknown>>, numInferenceSteps: number) {
    const settings = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: trained, timestep_spacing: spacing } = settings;
    requireSteps(numInferenceSteps, 1, trained);
    this.#isVelocity = settings.prediction_type === 'v_prediction';
    const sigmas = trainingSigmas(
      cumulatedAlphas(settings, { rescaleZeroSnr: settings.rescale_betas_zero_snr, keepLastPositive: true }),
    );
    if (spacing === 'trailing') this.timesteps = trailingTimesteps(trained, trained / numInferenceSteps);
    else if (spacing === 'leading')
      this.timesteps = leadingTimesteps(
        numInferenceSteps,
        Math.floor(trained / numInferenceSteps),
        settings.steps_offset,
      );
    else
      this.timesteps = numpyLinspace(0, trained - 1, numInferenceSteps)
        .map(f32)
        .toReversed();
    this.#sigmas = Float32Array.from([...this.timesteps.map((timestep) => interpolate(sigmas, timestep)), 0]);
    const largest = this.#sigmas.reduce((a, b) => Math.max(a, b));
    this.initNoiseSigma = spacing === 'leading' ? f32(Math.sqrt(f32(f32(largest * largest) + 1))) : largest;
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    const sigma = this.#sigmas[this.#index] as number;
    const divisor = f32(Math.sqrt(f32(f32(sigma * sigma) + 1)));
    return sample.map((value) => value / divisor);
  }

  step({ modelOutput, sample, noise }: SchedulerStep): Float32Array {
    const sigma = this.#sigmas[this.#index] as number;
    const next = this.#sigmas[this.#index + 1] as number;
    this.#index++;
    const [squared, nextSquared] = [f32(sigma * sigma), f32(next * next)];
    const up = f32(Math.sqrt(f32(f32(nextSquared * f32(squared - nextSquared)) / squared)));
    const down = f32(Math.sqrt(f32(nextSquared - f32(up * up))));
    const difference = f32(down - sigma);
    const velocityFactor = f32(-sigma / f32(Math.sqrt(f32(squared + 1))));
    const fresh = noise();
    return sample.map((value, index) => {
      const output = modelOutput[index] as number;
      const original = this.#isVelocity
        ? f32(f32(output * velocityFactor) + f32(value / f32(squared + 1)))
        : f32(value - f32(sigma * output));
      const derivative = f32(f32(value - original) / sigma);
      return f32(value + f32(derivative * difference)) + f32((fresh[index] as number) * up);
    });
  }
}
