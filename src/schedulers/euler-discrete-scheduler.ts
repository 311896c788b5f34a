/** Euler's method on the probability-flow ODE (arXiv 2206.00364, algorithm 2 without churn). Source: diffusers schedulers/scheduling_euler_discrete.py, EulerDiscreteScheduler. */
import { interpolate, torchLinspace } from '../lib/float32.ts';
import {
  cumulatedAlphas,
  requireSteps,
  sigmaOf,
  spreadTimesteps,
  TRAINING_DEFAULTS,
  timestepOfSigma,
  withDefaults,
} from './noise-schedule.ts';
import { firstPassOf, passAt } from './passes.ts';
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
import { PLAIN_SPACING, spacedSigmas } from './sigma-schedules.ts';
import { rootOfSquarePlusOne, withUnitVariance } from './sigma-timetable.ts';
import { sigmaKey, sigmaSpacingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...PLAIN_SPACING,
  prediction_type: 'epsilon',
  interpolation_type: 'linear',
  sigma_min: null as number | null,
  sigma_max: null as number | null,
  timestep_spacing: 'linspace',
  timestep_type: 'discrete',
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

  constructor(config: SchedulerConfig, options: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    requireSteps(options.steps, 1, settings.num_train_timesteps);
    this.#predictionType = settings.prediction_type;
    const trained = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    }).map(sigmaOf);
    const { timesteps, sigmas, final } = scheduleOf(settings, trained, options);
    const inputs = isContinuous(settings) ? sigmas.map((sigma) => f32(0.25 * f32(Math.log(f32(sigma))))) : timesteps;
    this.passes = inputs.map((timestep, pass) => ({ timestep, sigma: f32(sigmas[pass] as number) }));
    this.#finalSigma = f32(final);
    const largest = this.passes.reduce((most, { sigma }) => Math.max(most, sigma), this.#finalSigma);
    this.initNoiseSigma = settings.timestep_spacing === 'leading' ? rootOfSquarePlusOne(largest) : largest;
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    return withUnitVariance(sample, passAt(this.passes, pass).sigma);
  }

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    const difference = f32((this.passes[pass + 1]?.sigma ?? this.#finalSigma) - sigma);
    const originalOf = varianceExploding(this.#predictionType, sigma);
    const original = new Float32Array(sample.length);
    const result = new Float32Array(sample.length);
    for (let index = 0; index < result.length; index++) {
      const value = sample[index] as number;
      const image = originalOf(value, modelOutput[index] as number);
      const derivative = f32(f32(value - image) / sigma);
      original[index] = image;
      result[index] = value + f32(derivative * difference);
    }
    return { sample: result, original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }
}

interface Schedule {
  readonly timesteps: readonly number[];
  readonly sigmas: readonly number[];
  /** Behind the last pass. */
  readonly final: number;
}

function scheduleOf(settings: typeof DEFAULTS, trained: Float32Array, options: SchedulerOptions): Schedule {
  const { steps } = options;
  const timestepsOf = (sigmas: readonly number[]): number[] =>
    sigmas.map((sigma) => f32(timestepOfSigma(sigma, trained)));
  if (options.sigmas !== undefined) {
    const sigmas = options.sigmas.map(f32);
    return { timesteps: timestepsOf(sigmas), sigmas, final: 0 };
  }
  const { timestep_spacing: spacing, num_train_timesteps: used, steps_offset: offset } = settings;
  const timesteps = options.timesteps ?? spreadTimesteps({ spacing, steps, used, offset, round: f32 });
  const even =
    settings.interpolation_type === 'log_linear'
      ? logLinearSigmas(trained, steps)
      : timesteps.map((position) => interpolate(trained, position));
  const [highest, lowest] = [settings.sigma_max ?? (even[0] as number), settings.sigma_min ?? (even.at(-1) as number)];
  const sigmas = spacedSigmas(settings, { highest, lowest, count: steps });
  const last = settings.final_sigmas_type === 'sigma_min' ? (trained[0] as number) : 0;
  if (sigmas !== undefined) return { timesteps: timestepsOf(sigmas), sigmas, final: last };
  return { timesteps, sigmas: even, final: even[steps] ?? last };
}

/** The network's input is then a quarter of the sigma's logarithm. */
function isContinuous({ timestep_type: type, prediction_type: predictionType }: typeof DEFAULTS): boolean {
  return type === 'continuous' && predictionType === 'v_prediction';
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
      ...sigmaSpacingKeys(z),
      sigma_min: sigmaKey(z),
      sigma_max: sigmaKey(z),
      timestep_type: z.enum(['discrete', 'continuous']),
      rescale_betas_zero_snr: z.boolean(),
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
    }),
  }),
  names: [{ name: 'euler', settings: {}, sampler: 'Euler' }],
  takes: ['timesteps', 'sigmas'],
  scheduleTypes: SCHEDULE_TYPES,
  create: (config, options) => new EulerDiscreteScheduler(config, options),
};
