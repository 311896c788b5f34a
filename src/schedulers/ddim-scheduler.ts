/** DDIM (arXiv 2010.02502), deterministic (eta 0). Source: diffusers schedulers/scheduling_ddim.py, DDIMScheduler. */
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
import { THRESHOLDING_OFF, thresholdingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
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

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    this.#config = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: trained, rescale_betas_zero_snr: rescaleZeroSnr } = this.#config;
    requireSteps(steps, 1, trained);
    this.#steps = steps;
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

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { timestep } = passAt(this.passes, pass);
    const {
      num_train_timesteps: trained,
      prediction_type: type,
      clip_sample: clip,
      clip_sample_range: range,
    } = this.#config;
    const { signal, noise } = signalAndNoise(this.#alphas[timestep] as number);
    const next = signalAndNoise(this.#alphaAt(timestep - Math.floor(trained / this.#steps)));
    const prediction = variancePreserving(type, signal, noise);
    const original = sample.map((value, index) => {
      const predicted = prediction.original(value, modelOutput[index] as number);
      return clip ? Math.min(Math.max(predicted, -range), range) : predicted;
    });
    const result = sample.map((value, index) => {
      const direction = prediction.noise(value, modelOutput[index] as number);
      return f32(next.signal * (original[index] as number)) + f32(next.noise * direction);
    });
    return { sample: result, original };
  }

  addNoise({ original, noise: added, pass }: NoisedSample): Float32Array {
    const { signal, noise } = signalAndNoise(this.#alphas[passAt(this.passes, pass).timestep] as number);
    return original.map((value, index) => f32(signal * value) + f32(noise * (added[index] as number)));
  }

  #alphaAt(timestep: number): number {
    if (timestep >= 0) return this.#alphas[timestep] as number;
    return this.#config.set_alpha_to_one ? 1 : (this.#alphas[0] as number);
  }
}

/** At a signal of zero the noise says nothing about the image: diffusers divides by zero there. `leading` never begins at that timestep. */
function divisionByZero(config: SchedulerConfig): string | undefined {
  const {
    rescale_betas_zero_snr: zeroSnr,
    prediction_type: type = 'epsilon',
    timestep_spacing: spacing = 'leading',
  } = config;
  if (zeroSnr !== true || type !== 'epsilon' || spacing === 'leading') return undefined;
  return `"rescale_betas_zero_snr" is true and "prediction_type" is "epsilon"; allowed with it: "v_prediction", "sample"`;
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
    onlyDefault: THRESHOLDING_OFF,
    contradiction: divisionByZero,
  }),
  names: [{ name: 'ddim', settings: {}, sampler: 'DDIM' }],
  create: (config, options) => new DDIMScheduler(config, options),
};
