/**
 * DPM-Solver and DPM-Solver++ of orders 1 to 3, multistep, as ODE or SDE (arXiv 2206.00927, 2211.01095).
 * Source: diffusers schedulers/scheduling_dpmsolver_multistep.py, DPMSolverMultistepScheduler.
 */
import { interpolate, numpyLinspace, roundHalfEven } from '../lib/float32.ts';
import {
  DPM_ALGORITHMS,
  type DpmAlgorithm,
  dpmCombined,
  dpmWeights,
  followsImage,
  isStochastic,
  type Level,
  levelOf,
} from './dpm-solver-update.ts';
import { clippedAway, clippedTimesteps, endsAtZero, multistepTimesteps } from './multistep-schedule.ts';
import {
  cumulatedAlphas,
  requireSteps,
  sigmaOf,
  TRAINING_DEFAULTS,
  timestepOfSigma,
  withDefaults,
} from './noise-schedule.ts';
import { firstPassOf, PassOrder, passAt } from './passes.ts';
import { variancePreserving } from './prediction.ts';
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
import { THRESHOLD_DEFAULTS, thresholded } from './thresholding.ts';
import { FLOW_OFF, sigmaSpacingKeys, thresholdingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...PLAIN_SPACING,
  ...THRESHOLD_DEFAULTS,
  solver_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
  lower_order_final: true,
  euler_at_final: false,
  use_lu_lambdas: false as boolean | null,
  final_sigmas_type: 'zero',
  lambda_min_clipped: Number.NEGATIVE_INFINITY as number | string | null,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

/** Below this many steps the last ones are taken with a lower order. */
const FEW_STEPS = 15;

class DPMSolverMultistepScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  readonly #algorithm: DpmAlgorithm;
  /** One more than there are passes. */
  readonly #levels: readonly Level[];
  readonly #order = new PassOrder();
  /** Converted outputs of the network, newest first, at most `solver_order`. */
  #outputs: Float32Array[] = [];

  constructor(config: SchedulerConfig, options: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    // The other spacings take one point more than steps. With as many steps as were trained, two points would coincide, and the method divides by
    // their distance.
    const isOneMore = settings.timestep_spacing !== 'trailing' && options.timesteps === undefined;
    requireSteps(options.steps, 1, settings.num_train_timesteps - (isOneMore ? 1 : 0));
    this.#settings = settings;
    this.#algorithm = algorithmOf(settings.algorithm_type);
    const alphas = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    });
    const trained = alphas.map(sigmaOf);
    const { timesteps, sigmas } = scheduleOf(settings, alphas, options);
    this.passes = timesteps.map((timestep, pass) => ({ timestep, sigma: f32(sigmas[pass] as number) }));
    const last = settings.final_sigmas_type === 'sigma_min' ? (trained[0] as number) : 0;
    this.#levels = [...this.passes.map(({ sigma }) => sigma), last].map(levelOf);
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, sample, pass, noise: source }: SchedulerStep): SchedulerStepResult {
    passAt(this.passes, pass);
    this.#order.enter(pass);
    const converted = this.#converted(sample, modelOutput, this.#levels[pass] as Level);
    this.#outputs = [converted, ...this.#outputs].slice(0, this.#settings.solver_order);
    const order = Math.min(this.#outputs.length, this.#allowedOrder(pass));
    const weights = dpmWeights({
      algorithm: this.#algorithm,
      solverType: this.#settings.solver_type,
      order,
      target: this.#levels[pass + 1] as Level,
      levels: this.#levels.slice(pass + 1 - order, pass + 1).toReversed(),
    });
    const noise = isStochastic(this.#algorithm) ? { noise: source.next(sample.length) } : {};
    const result = dpmCombined(weights, { sample, outputs: this.#outputs, ...noise });
    return followsImage(this.#algorithm) ? { sample: result, original: converted } : { sample: result };
  }

  /** The predicted image or the predicted noise, as the method needs it. */
  #converted(sample: Float32Array, modelOutput: Float32Array, { alpha, sigma }: Level): Float32Array {
    const prediction = variancePreserving(this.#settings.prediction_type, alpha, sigma);
    const at = (values: Float32Array, index: number): number => values[index] as number;
    if (followsImage(this.#algorithm)) {
      const original = new Float32Array(sample.length);
      for (let index = 0; index < original.length; index++)
        original[index] = prediction.original(sample[index] as number, modelOutput[index] as number);
      return thresholded(original, this.#settings);
    }
    const noise = sample.map((value, index) => prediction.noise(value, at(modelOutput, index)));
    if (!this.#settings.thresholding) return noise;
    const original = sample.map((value, index) => f32(value - f32(sigma * at(noise, index))) / alpha);
    const bounded = thresholded(original, this.#settings);
    return sample.map((value, index) => f32(value - f32(alpha * at(bounded, index))) / sigma);
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    passAt(this.passes, pass);
    const { alpha, sigma } = this.#levels[pass] as Level;
    return original.map((value, index) => f32(alpha * value) + f32(sigma * (noise[index] as number)));
  }

  #allowedOrder(pass: number): number {
    const {
      solver_order: order,
      euler_at_final: eulerAtFinal,
      lower_order_final: lowerOrderFinal,
      final_sigmas_type: finalSigmas,
    } = this.#settings;
    const { length } = this.passes;
    const lowerNearEnd = lowerOrderFinal && length < FEW_STEPS;
    if (pass === length - 1 && (eulerAtFinal || lowerNearEnd || finalSigmas === 'zero')) return 1;
    return pass === length - 2 && lowerNearEnd ? Math.min(order, 2) : order;
  }
}

/** `deis` stands in configurations of another class. diffusers takes this method for it, and `midpoint` for other classes' solver types. */
function algorithmOf(type: string): DpmAlgorithm {
  return DPM_ALGORITHMS.find((algorithm) => algorithm === type) ?? 'dpmsolver++';
}

interface Schedule {
  readonly timesteps: readonly number[];
  readonly sigmas: readonly number[];
}

function scheduleOf(settings: typeof DEFAULTS, alphas: Float32Array, options: SchedulerOptions): Schedule {
  const { steps } = options;
  const trained = alphas.map(sigmaOf);
  const [highest, lowest] = [trained.at(-1) as number, trained[0] as number];
  const timestepsOfSigmas = (sigmas: readonly number[], round: (timestep: number) => number): Schedule => ({
    sigmas,
    timesteps: sigmas.map((sigma) => round(timestepOfSigma(sigma, trained))),
  });
  // diffusers cuts what it does not round.
  const nearest = settings.beta_schedule === 'squaredcos_cap_v2' ? Math.trunc : roundHalfEven;
  if (settings.use_lu_lambdas === true && settings.use_karras_sigmas !== true)
    return timestepsOfSigmas(evenLogSigmas(highest, lowest, steps), nearest);
  const spaced = spacedSigmas(settings, { highest, lowest, count: steps });
  if (spaced !== undefined)
    return timestepsOfSigmas(spaced, settings.use_karras_sigmas === true ? nearest : Math.trunc);
  const timesteps = options.timesteps ?? timestepsOf(settings, alphas, steps);
  return { timesteps, sigmas: timesteps.map((timestep) => interpolate(trained, timestep)) };
}

/** Source: scheduling_dpmsolver_multistep.py, _convert_to_lu (arXiv 2206.00927, section 4). */
function evenLogSigmas(highest: number, lowest: number, count: number): number[] {
  const ends = [f32(Math.log(highest)), f32(Math.log(lowest))] as const;
  return numpyLinspace(0, 1, count).map((ramp) => Math.exp(ends[0] + ramp * (ends[1] - ends[0])));
}

function timestepsOf(settings: typeof DEFAULTS, alphas: Float32Array, steps: number): number[] {
  const { num_train_timesteps: trained, timestep_spacing: spacing, steps_offset: offset } = settings;
  const clipped = clippedTimesteps(alphas, settings.lambda_min_clipped);
  return multistepTimesteps({ spacing, steps, trained, offset, clipped });
}

/** diffusers has no third order of this one: its step ends in an error. */
function noThirdOrder({ algorithm_type: algorithm, solver_order: order }: SchedulerConfig): string | undefined {
  if (algorithm !== 'sde-dpmsolver' || order !== 3) return undefined;
  return '"solver_order" is 3, which "algorithm_type" "sde-dpmsolver" does not have; allowed: 1, 2';
}

export const DPM_SOLVER_MULTISTEP: SchedulerClass = {
  className: 'DPMSolverMultistepScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...thresholdingKeys(z),
      solver_order: z.int().min(1).max(3),
      algorithm_type: z.enum([...DPM_ALGORITHMS, 'deis']),
      solver_type: z.enum(['midpoint', 'heun', 'logrho', 'bh1', 'bh2']),
      lower_order_final: z.boolean(),
      euler_at_final: z.boolean(),
      ...sigmaSpacingKeys(z),
      use_lu_lambdas: z.boolean().nullable(),
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
      lambda_min_clipped: z.union([z.number(), z.literal('-Infinity')]).nullable(),
      rescale_betas_zero_snr: z.boolean(),
    }),
    onlyDefault: {
      ...FLOW_OFF,
      variance_type: [null],
    },
    contradiction: (config) => endsAtZero(config) ?? noThirdOrder(config) ?? clippedAway(config),
  }),
  names: [
    { name: 'dpmpp_2m', settings: { use_karras_sigmas: false }, sampler: 'DPM++ 2M', automatic: 'karras' },
    { name: 'dpmpp_2m_karras', settings: { use_karras_sigmas: true }, sampler: 'DPM++ 2M', scheduleType: 'Karras' },
    {
      name: 'dpmpp_2m_sde',
      settings: { algorithm_type: 'sde-dpmsolver++' },
      sampler: 'DPM++ 2M SDE',
      aliases: ['dpmpp_2m_sde_gpu'],
      automatic: 'exponential',
    },
    {
      // k-diffusion's sample_dpmpp_2m_sde with solver_type "heun" has the same two terms, with eta 1.
      name: 'dpmpp_2m_sde_heun',
      settings: { algorithm_type: 'sde-dpmsolver++', solver_type: 'heun' },
      sampler: 'DPM++ 2M SDE Heun',
      aliases: ['dpmpp_2m_sde_heun_gpu'],
      automatic: 'exponential',
    },
    {
      name: 'dpmpp_3m_sde',
      settings: { algorithm_type: 'sde-dpmsolver++', solver_order: 3 },
      sampler: 'DPM++ 3M SDE',
      aliases: ['dpmpp_3m_sde_gpu'],
      automatic: 'exponential',
    },
  ],
  takes: ['timesteps'],
  scheduleTypes: SCHEDULE_TYPES,
  create: (config, options) => new DPMSolverMultistepScheduler(config, options),
};
