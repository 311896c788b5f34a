/** DDIM (arXiv 2010.02502), deterministic (eta 0). Source: diffusers schedulers/scheduling_ddim.py, DDIMScheduler. */
import {
  cumulatedAlphas,
  leadingTimesteps,
  numpyLinspace,
  requireSteps,
  requireTrainedTimesteps,
  roundHalfEven,
  TRAINING_DEFAULTS,
  trailingTimesteps,
  withDefaults,
} from './noise-schedule.ts';
import type { Scheduler, SchedulerStep } from './scheduler.ts';

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

export class DDIMScheduler implements Scheduler {
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly #config: typeof DEFAULTS;
  readonly #alphas: Float32Array;
  readonly #stepSize: number;

  /** @throws `invalid_parameter` */
  constructor(config: Readonly<Record<string, unknown>>, numInferenceSteps: number) {
    this.#config = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: trained, rescale_betas_zero_snr: rescaleZeroSnr } = this.#config;
    requireSteps(numInferenceSteps, 1, trained);
    this.#alphas = cumulatedAlphas(this.#config, { rescaleZeroSnr });
    this.#stepSize = Math.floor(trained / numInferenceSteps);
    this.timesteps = this.#spread(numInferenceSteps);
    requireTrainedTimesteps(this.timesteps, trained);
  }

  #spread(count: number): number[] {
    const { num_train_timesteps: trained, steps_offset: offset, timestep_spacing: spacing } = this.#config;
    if (spacing === 'linspace')
      return numpyLinspace(0, trained - 1, count)
        .map(roundHalfEven)
        .toReversed();
    if (spacing === 'trailing') return trailingTimesteps(trained, trained / count);
    return leadingTimesteps(count, this.#stepSize, offset);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, timestep, sample }: SchedulerStep): Float32Array {
    const { prediction_type: prediction, clip_sample: clip, clip_sample_range: range } = this.#config;
    const alpha = this.#alphas[timestep] as number;
    const previous = this.#previousAlpha(timestep - this.#stepSize);
    const [rootAlpha, rootBeta] = [f32(Math.sqrt(alpha)), f32(Math.sqrt(f32(1 - alpha)))];
    const [rootPrevious, rootDirection] = [f32(Math.sqrt(previous)), f32(Math.sqrt(f32(1 - previous)))];
    return sample.map((value, index) => {
      const output = modelOutput[index] as number;
      let original: number;
      let noise: number;
      if (prediction === 'v_prediction') {
        original = f32(f32(rootAlpha * value) - f32(rootBeta * output));
        noise = f32(f32(rootAlpha * output) + f32(rootBeta * value));
      } else if (prediction === 'sample') {
        original = output;
        noise = f32(f32(value - f32(rootAlpha * output)) / rootBeta);
      } else {
        original = f32(f32(value - f32(rootBeta * output)) / rootAlpha);
        noise = output;
      }
      if (clip) original = Math.min(Math.max(original, -range), range);
      return f32(rootPrevious * original) + f32(rootDirection * noise);
    });
  }

  #previousAlpha(timestep: number): number {
    if (timestep >= 0) return this.#alphas[timestep] as number;
    return this.#config.set_alpha_to_one ? 1 : (this.#alphas[0] as number);
  }
}
