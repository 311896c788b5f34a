/** DDIM (arXiv 2010.02502): deterministic, or with fresh noise by `eta`. Source: diffusers schedulers/scheduling_ddim.py, DDIMScheduler. */
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
  clip_sample: true,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  steps_offset: 0,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  rescale_betas_zero_snr: false,
};

class DDIMScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #config: typeof DEFAULTS;
  readonly #alphas: Float32Array;
  readonly #steps: number;
  readonly #eta: number;

  constructor(config: SchedulerConfig, { steps, eta = 0 }: SchedulerOptions) {
    this.#config = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: trained, rescale_betas_zero_snr: rescaleZeroSnr } = this.#config;
    requireSteps(steps, 1, trained);
    this.#steps = steps;
    this.#eta = eta;
    this.#alphas = cumulatedAlphas(this.#config, { rescaleZeroSnr });
    const { steps_offset: offset, timestep_spacing: spacing } = this.#config;
    const timesteps = spreadTimesteps({ spacing, steps, used: trained, offset, round: roundHalfEven });
    requireTrainedTimesteps(timesteps, trained);
    this.passes = timesteps.map((timestep) => ({ timestep, sigma: sigmaOf(this.#alphas[timestep] as number) }));
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.#steps);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, sample, pass, noise: source }: SchedulerStep): SchedulerStepResult {
    const { timestep } = passAt(this.passes, pass);
    const alpha = this.#alphas[timestep] as number;
    const nextAlpha = this.#alphaAt(timestep - Math.floor(this.#config.num_train_timesteps / this.#steps));
    const { signal, noise } = signalAndNoise(alpha);
    const prediction = variancePreserving(this.#config.prediction_type, signal, noise);
    const predicted = new Float32Array(sample.length);
    for (let index = 0; index < predicted.length; index++)
      predicted[index] = prediction.original(sample[index] as number, modelOutput[index] as number);
    const original = this.#bounded(predicted);
    const deviation = f32(this.#eta * f32(Math.sqrt(varianceBetween(alpha, nextAlpha))));
    const nextSignal = f32(Math.sqrt(nextAlpha));
    const nextNoise = f32(Math.sqrt(f32(f32(1 - nextAlpha) - f32(deviation * deviation))));
    const result = new Float32Array(sample.length);
    for (let index = 0; index < result.length; index++) {
      const direction = prediction.noise(sample[index] as number, modelOutput[index] as number);
      result[index] = f32(nextSignal * (original[index] as number)) + f32(nextNoise * direction);
    }
    if (this.#eta === 0) return { sample: result, original };
    const fresh = source.next(sample.length);
    return { sample: result.map((value, index) => value + f32(deviation * (fresh[index] as number))), original };
  }

  addNoise({ original, noise: added, pass }: NoisedSample): Float32Array {
    const { signal, noise } = signalAndNoise(this.#alphas[passAt(this.passes, pass).timestep] as number);
    return original.map((value, index) => f32(signal * value) + f32(noise * (added[index] as number)));
  }

  #bounded(original: Float32Array): Float32Array {
    const { thresholding, clip_sample: clip, clip_sample_range: range } = this.#config;
    if (thresholding) return thresholded(original, this.#config);
    return clip ? clipped(original, range) : original;
  }

  #alphaAt(timestep: number): number {
    if (timestep >= 0) return this.#alphas[timestep] as number;
    return this.#config.set_alpha_to_one ? 1 : (this.#alphas[0] as number);
  }
}

/** Formula 16 of the paper, with eta 1. */
function varianceBetween(alpha: number, next: number): number {
  return f32(f32(f32(1 - next) / f32(1 - alpha)) * f32(1 - f32(alpha / next)));
}

/** `leading` never begins at the timestep without a signal. */
function divisionByZero(config: SchedulerConfig): string | undefined {
  return (config['timestep_spacing'] ?? 'leading') === 'leading' ? undefined : noSignalToDivide(config);
}

export const DDIM: SchedulerClass = {
  className: 'DDIMScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...thresholdingKeys(z),
      clip_sample: z.boolean(),
      clip_sample_range: z.number().positive(),
      set_alpha_to_one: z.boolean(),
      rescale_betas_zero_snr: z.boolean(),
    }),
    contradiction: divisionByZero,
  }),
  names: [{ name: 'ddim', settings: {}, sampler: 'DDIM' }],
  takes: ['eta'],
  scheduleTypes: ['sgm_uniform', 'normal'],
  create: (config, options) => new DDIMScheduler(config, options),
};
