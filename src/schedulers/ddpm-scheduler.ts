/** DDPM (arXiv 2006.11239): ancestral steps with the variance of the posterior. Source: diffusers schedulers/scheduling_ddpm.py, DDPMScheduler. */
import { roundHalfEven } from '../lib/float32.ts';
import {
  cumulatedAlphas,
  requireSteps,
  requireTrainedTimesteps,
  sigmaOf,
  signalAndNoise,
  spreadTimesteps,
  TRAINING_DEFAULTS,
  withDefaults,
} from './noise-schedule.ts';
import { firstPassOf, passAt } from './passes.ts';
import { variancePreserving } from './prediction.ts';
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
import { clipped, THRESHOLD_DEFAULTS, thresholded } from './thresholding.ts';
import { noSignalToDivide, thresholdingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...THRESHOLD_DEFAULTS,
  variance_type: 'fixed_small',
  clip_sample: true,
  clip_sample_range: 1,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

class DDPMScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  readonly #alphas: Float32Array;

  constructor(config: SchedulerConfig, { steps, timesteps }: SchedulerOptions) {
    this.#settings = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: used, timestep_spacing: spacing, steps_offset: offset } = this.#settings;
    requireSteps(steps, 1, used);
    this.#alphas = cumulatedAlphas(this.#settings, { rescaleZeroSnr: this.#settings.rescale_betas_zero_snr });
    const spread = timesteps ?? spreadTimesteps({ spacing, steps, used, offset, round: roundHalfEven });
    requireTrainedTimesteps(spread, used);
    this.passes = spread.map((timestep) => ({ timestep, sigma: sigmaOf(this.#alphas[timestep] as number) }));
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, sample, pass, noise: source }: SchedulerStep): SchedulerStepResult {
    const { timestep } = passAt(this.passes, pass);
    const alpha = this.#alphas[timestep] as number;
    const next = this.passes[pass + 1];
    const nextAlpha = next === undefined ? 1 : (this.#alphas[next.timestep] as number);
    const { signal, noise } = signalAndNoise(alpha);
    const prediction = variancePreserving(this.#settings.prediction_type, signal, noise);
    const original = this.#bounded(
      sample.map((value, index) => prediction.original(value, modelOutput[index] as number)),
    );
    const kept = f32(alpha / nextAlpha);
    const [beta, nextBeta, added] = [f32(1 - alpha), f32(1 - nextAlpha), f32(1 - kept)];
    const ofOriginal = f32(f32(f32(Math.sqrt(nextAlpha)) * added) / beta);
    const ofSample = f32(f32(f32(Math.sqrt(kept)) * nextBeta) / beta);
    const mean = sample.map((value, index) => f32(ofOriginal * (original[index] as number)) + f32(ofSample * value));
    if (timestep === 0) return { sample: mean, original };
    const deviation = this.#deviation(f32(f32(nextBeta / beta) * added), added);
    const fresh = source.next(sample.length);
    return { sample: mean.map((value, index) => value + f32(deviation * (fresh[index] as number))), original };
  }

  addNoise({ original, noise: added, pass }: NoisedSample): Float32Array {
    const { signal, noise } = signalAndNoise(this.#alphas[passAt(this.passes, pass).timestep] as number);
    return original.map((value, index) => f32(signal * value) + f32(noise * (added[index] as number)));
  }

  #bounded(original: Float32Array): Float32Array {
    const { thresholding, clip_sample: clip, clip_sample_range: range } = this.#settings;
    if (thresholding) return thresholded(original, this.#settings);
    return clip ? clipped(original, range) : original;
  }

  /** @param small the posterior's variance @param large the variance that the step adds in training */
  #deviation(small: number, large: number): number {
    // diffusers keeps it above 0 for the logarithm of one type.
    const variance = this.#settings.variance_type === 'fixed_large' ? large : Math.max(small, f32(1e-20));
    return f32(Math.sqrt(variance));
  }
}

export const DDPM: SchedulerClass = {
  className: 'DDPMScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...thresholdingKeys(z),
      beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2', 'sigmoid', 'laplace']),
      // The others need a network that predicts variances, or end in NaN in diffusers (fixed_large_log).
      variance_type: z.enum(['fixed_small', 'fixed_small_log', 'fixed_large']),
      clip_sample: z.boolean(),
      clip_sample_range: z.number().positive(),
      rescale_betas_zero_snr: z.boolean(),
    }),
    contradiction: (config) =>
      (config['timestep_spacing'] ?? 'leading') === 'leading' ? undefined : noSignalToDivide(config),
  }),
  names: [{ name: 'ddpm', settings: {}, sampler: 'DDPM' }],
  takes: ['timesteps'],
  scheduleTypes: ['sgm_uniform', 'normal', 'simple'],
  create: (config, options) => new DDPMScheduler(config, options),
};
