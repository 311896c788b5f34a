/**
 * Trajectory consistency distillation (arXiv 2402.19159): each step goes to a point between the next timestep and 0, which `eta` decides, and is
 * noised from there. Source: diffusers schedulers/scheduling_tcd.py, TCDScheduler.
 */
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
import { distillationRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  original_inference_steps: 50,
  prediction_type: 'epsilon',
  rescale_betas_zero_snr: false,
};

class TCDScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #predictionType: string;
  readonly #alphas: Float32Array;
  readonly #eta: number;

  constructor(config: SchedulerConfig, options: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    this.#predictionType = settings.prediction_type;
    this.#eta = options.eta ?? 0;
    this.#alphas = cumulatedAlphas(settings, { rescaleZeroSnr: settings.rescale_betas_zero_snr });
    this.passes = distilledTimesteps(settings, options).map((timestep) => ({
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
    const here = signalAndNoise(this.#alphas[passAt(this.passes, pass).timestep] as number);
    const prediction = variancePreserving(this.#predictionType, here.signal, here.noise);
    const original = sample.map((value, index) => prediction.original(value, modelOutput[index] as number));
    const next = this.passes[pass + 1];
    const nextTimestep = next?.timestep ?? 0;
    const between = this.#alphas[Math.floor(f32(f32(1 - this.#eta) * nextTimestep))] as number;
    const level = signalAndNoise(between);
    const noised = sample.map((value, index) => {
      const noise = prediction.noise(value, modelOutput[index] as number);
      return f32(level.signal * (original[index] as number)) + f32(level.noise * noise);
    });
    if (this.#eta === 0 || next === undefined) return { sample: noised, original };
    const rest = f32((this.#alphas[nextTimestep] as number) / between);
    const [keep, add] = [f32(Math.sqrt(rest)), f32(Math.sqrt(f32(1 - rest)))];
    const fresh = source.next(sample.length);
    return {
      sample: noised.map((value, index) => f32(keep * value) + f32(add * (fresh[index] as number))),
      original,
    };
  }

  addNoise({ original, noise: added, pass }: NoisedSample): Float32Array {
    const { signal, noise } = signalAndNoise(this.#alphas[passAt(this.passes, pass).timestep] as number);
    return original.map((value, index) => f32(signal * value) + f32(noise * (added[index] as number)));
  }
}

export const TCD: SchedulerClass = {
  className: 'TCDScheduler',
  rules: distillationRules(false),
  names: [{ name: 'tcd', settings: {}, sampler: 'TCD' }],
  takes: ['timesteps', 'eta'],
  scheduleTypes: ['simple'],
  create: (config, options) => new TCDScheduler(config, options),
};
