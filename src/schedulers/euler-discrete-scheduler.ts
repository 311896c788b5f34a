/** Euler's method on the probability-flow ODE (arXiv 2206.00364, algorithm 2 without churn). Source: diffusers schedulers/scheduling_euler_discrete.py, EulerDiscreteScheduler. */
import { interpolate, torchLinspace } from '../lib/float32.ts';
import {
  cumulatedAlphas,
  karrasSigmas,
  requireSteps,
  sigmaOf,
  spreadTimesteps,
  timestepOfSigma,
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
import { SIGMA_SPACING_OFF, sigmaKey, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  prediction_type: 'epsilon',
  interpolation_type: 'linear',
  use_karras_sigmas: false as boolean | null,
  sigma_min: null as number | null,
  sigma_max: null as number | null,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
  final_sigmas_type: 'zero',
};

class EulerDiscreteScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #predictionType: string;
  /** Behind the last pass. */
  readonly #finalSigma: number;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    const { num_train_timesteps: used, timestep_spacing: spacing, steps_offset: offset } = settings;
    requireSteps(steps, 1, used);
    this.#predictionType = settings.prediction_type;
    const trained = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    }).map(sigmaOf);
    let timesteps = spreadTimesteps({ spacing, steps, used, offset, round: f32 });
    let sigmas =
      settings.interpolation_type === 'log_linear'
        ? logLinearSigmas(trained, steps)
        : timesteps.map((position) => interpolate(trained, position));
    if (settings.use_karras_sigmas === true) {
      const [lowest, highest] = [settings.sigma_min ?? sigmas.at(-1), settings.sigma_max ?? sigmas[0]];
      sigmas = karrasSigmas(lowest as number, highest as number, steps);
      timesteps = sigmas.map((sigma) => f32(timestepOfSigma(sigma, trained)));
    }
    this.passes = timesteps.map((timestep, pass) => ({ timestep, sigma: f32(sigmas[pass] as number) }));
    const last = settings.final_sigmas_type === 'sigma_min' ? (trained[0] as number) : 0;
    this.#finalSigma = f32(sigmas[steps] ?? last);
    const largest = this.passes.reduce((most, { sigma }) => Math.max(most, sigma), this.#finalSigma);
    this.initNoiseSigma = spacing === 'leading' ? rootOfSquarePlusOne(largest) : largest;
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    const divisor = rootOfSquarePlusOne(passAt(this.passes, pass).sigma);
    return sample.map((value) => value / divisor);
  }

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    const difference = f32((this.passes[pass + 1]?.sigma ?? this.#finalSigma) - sigma);
    const originalOf = varianceExploding(this.#predictionType, sigma);
    const original = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    const result = sample.map((value, index) => {
      const derivative = f32(f32(value - (original[index] as number)) / sigma);
      return value + f32(derivative * difference);
    });
    return { sample: result, original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }
}

function rootOfSquarePlusOne(sigma: number): number {
  return f32(Math.sqrt(f32(f32(sigma * sigma) + 1)));
}

/** One more than steps: the last pass ends at the smallest one. */
function logLinearSigmas(trained: Float32Array, steps: number): number[] {
  const [smallest, largest] = [f32(Math.log(trained[0] as number)), f32(Math.log(trained.at(-1) as number))];
  return Array.from(torchLinspace(largest, smallest, steps + 1).map(Math.exp));
}

export const EULER: SchedulerClass = {
  className: 'EulerDiscreteScheduler',
  rules: trainedRules({
    keys: (z) => ({
      interpolation_type: z.enum(['linear', 'log_linear']),
      use_karras_sigmas: z.boolean().nullable(),
      sigma_min: sigmaKey(z),
      sigma_max: sigmaKey(z),
      timestep_type: z.literal('discrete'),
      rescale_betas_zero_snr: z.boolean(),
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
    }),
    onlyDefault: SIGMA_SPACING_OFF,
  }),
  names: [{ name: 'euler', settings: {}, sampler: 'Euler' }],
  create: (config, options) => new EulerDiscreteScheduler(config, options),
};
