/** Latent consistency models (arXiv 2310.04378): each step predicts the image and noises it again. Source: diffusers schedulers/scheduling_lcm.py, LCMScheduler. */
import { distilledTimesteps } from './distilled-timesteps.ts';
import { cumulatedAlphas, sigmaOf, signalAndNoise, TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
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
import { distillationRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...THRESHOLD_DEFAULTS,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  original_inference_steps: 50,
  clip_sample: false,
  clip_sample_range: 1,
  prediction_type: 'epsilon',
  timestep_scaling: 10,
  rescale_betas_zero_snr: false,
};

/** Of the data, as the boundary condition of consistency models has it (arXiv 2303.01469, appendix C). */
const SIGMA_DATA = 0.5;

class LCMScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #config: typeof DEFAULTS;
  readonly #alphas: Float32Array;

  constructor(config: SchedulerConfig, options: SchedulerOptions) {
    this.#config = withDefaults(DEFAULTS, config);
    this.#alphas = cumulatedAlphas(this.#config, { rescaleZeroSnr: this.#config.rescale_betas_zero_snr });
    this.passes = distilledTimesteps(this.#config, options).map((timestep) => ({
      timestep,
      sigma: sigmaOf(this.#alphas[timestep] as number),
    }));
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, sample, pass, noise: source }: SchedulerStep): SchedulerStepResult {
    const { timestep } = passAt(this.passes, pass);
    const { signal, noise } = signalAndNoise(this.#alphas[timestep] as number);
    const prediction = variancePreserving(this.#config.prediction_type, signal, noise);
    const predicted = this.#bounded(
      sample.map((value, index) => prediction.original(value, modelOutput[index] as number)),
    );
    const scaled = f32(timestep * this.#config.timestep_scaling);
    const sum = f32(f32(scaled * scaled) + SIGMA_DATA ** 2);
    const [skip, out] = [f32(SIGMA_DATA ** 2 / sum), f32(scaled / f32(Math.sqrt(sum)))];
    const original = sample.map((value, index) => f32(out * (predicted[index] as number)) + f32(skip * value));
    const next = this.passes[pass + 1];
    if (next === undefined) return { sample: original, original };
    const level = signalAndNoise(this.#alphas[next.timestep] as number);
    const fresh = source.next(sample.length);
    return {
      sample: original.map((value, index) => f32(level.signal * value) + f32(level.noise * (fresh[index] as number))),
      original,
    };
  }

  addNoise({ original, noise: added, pass }: NoisedSample): Float32Array {
    const { signal, noise } = signalAndNoise(this.#alphas[passAt(this.passes, pass).timestep] as number);
    return original.map((value, index) => f32(signal * value) + f32(noise * (added[index] as number)));
  }

  #bounded(predicted: Float32Array): Float32Array {
    const { thresholding, clip_sample: clip, clip_sample_range: range } = this.#config;
    if (thresholding) return thresholded(predicted, this.#config);
    return clip ? clipped(predicted, range) : predicted;
  }
}

export const LCM: SchedulerClass = {
  className: 'LCMScheduler',
  rules: distillationRules(true),
  names: [{ name: 'lcm', settings: {}, sampler: 'LCM' }],
  takes: ['timesteps'],
  scheduleTypes: ['simple'],
  create: (config, options) => new LCMScheduler(config, options),
};
