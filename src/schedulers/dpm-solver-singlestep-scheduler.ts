/**
 * DPM-Solver and DPM-Solver++ of orders 1 to 3, singlestep, as ODE or SDE (arXiv 2206.00927, 2211.01095). The steps go in groups of rising order, each
 * of which starts at the group's first sample. Every step calls the network once.
 * Source: diffusers schedulers/scheduling_dpmsolver_singlestep.py, DPMSolverSinglestepScheduler.
 */
import { interpolate, roundHalfEven } from '../lib/float32.ts';
import {
  DPM_ALGORITHMS,
  type DpmAlgorithm,
  dpmCombined,
  type DpmWeights,
  followsImage,
  isStochastic,
  type Level,
  levelOf,
  termsOf,
} from './dpm-solver-update.ts';
import { clippedAway, clippedTimesteps, endsAtZero, multistepTimesteps } from './multistep-schedule.ts';
import {
  cumulatedAlphas,
  requireSteps,
  sigmaOf,
  timestepOfSigma,
  TRAINING_DEFAULTS,
  withDefaults,
} from './noise-schedule.ts';
import { firstPassOf, passAt, PassOrder } from './passes.ts';
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
  lower_order_final: false,
  final_sigmas_type: 'zero',
  lambda_min_clipped: Number.NEGATIVE_INFINITY as number | string | null,
};

class DPMSolverSinglestepScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  readonly #algorithm: DpmAlgorithm;
  /** One more than there are passes. */
  readonly #levels: readonly Level[];
  /** Of each pass. */
  readonly #orders: readonly number[];
  readonly #order = new PassOrder();
  /** Converted outputs of the network, newest first, at most `solver_order`. */
  #outputs: Float32Array[] = [];
  /** Where the group began. */
  #start: Float32Array | undefined;

  constructor(config: SchedulerConfig, options: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    requireSteps(options.steps, 1, settings.num_train_timesteps - (options.timesteps === undefined ? 1 : 0));
    this.#settings = settings;
    this.#algorithm = DPM_ALGORITHMS.find((algorithm) => algorithm === settings.algorithm_type) ?? 'dpmsolver++';
    const alphas = cumulatedAlphas(settings);
    const trained = alphas.map(sigmaOf);
    const [highest, lowest] = [trained.at(-1) as number, trained[0] as number];
    const spaced = spacedSigmas(settings, { highest, lowest, count: options.steps });
    // diffusers rounds Karras' timesteps and cuts the others.
    const round = settings.use_karras_sigmas === true ? roundHalfEven : Math.trunc;
    const timesteps =
      spaced?.map((sigma) => round(timestepOfSigma(sigma, trained))) ??
      options.timesteps ??
      timestepsOf(settings, alphas, options.steps);
    const sigmas = spaced ?? timesteps.map((timestep) => interpolate(trained, timestep));
    this.passes = timesteps.map((timestep, pass) => ({ timestep, sigma: f32(sigmas[pass] as number) }));
    const last = settings.final_sigmas_type === 'sigma_min' ? lowest : 0;
    this.#levels = [...this.passes.map(({ sigma }) => sigma), last].map(levelOf);
    this.#orders = ordersOf(settings, this.passes.length);
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
    // A loop that begins in the middle of a group knows less than its order needs.
    const order = Math.min(this.#orders[pass] as number, this.#outputs.length);
    if (order === 1) this.#start = sample;
    const noise = isStochastic(this.#algorithm) ? { noise: source.next(sample.length) } : {};
    const weights = this.#weights(pass, order);
    const result = dpmCombined(weights, { sample: this.#start ?? sample, outputs: this.#outputs, ...noise });
    return followsImage(this.#algorithm) ? { sample: result, original: converted } : { sample: result };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    passAt(this.passes, pass);
    const { alpha, sigma } = this.#levels[pass] as Level;
    return original.map((value, index) => f32(alpha * value) + f32(sigma * (noise[index] as number)));
  }

  /** The predicted image or the predicted noise, as the method needs it. */
  #converted(sample: Float32Array, modelOutput: Float32Array, { alpha, sigma }: Level): Float32Array {
    const prediction = variancePreserving(this.#settings.prediction_type, alpha, sigma);
    const isOfImage = followsImage(this.#algorithm);
    const convert = isOfImage ? prediction.original : prediction.noise;
    const converted = sample.map((value, index) => convert(value, modelOutput[index] as number));
    return isOfImage ? thresholded(converted, this.#settings) : converted;
  }

  /** From the group's start to the next level. The outputs' weights are those of the newest first. */
  #weights(pass: number, order: number): DpmWeights {
    const [target, start] = [this.#levels[pass + 1] as Level, this.#levels[pass + 1 - order] as Level];
    const h = f32(target.lambda - start.lambda);
    const { keep, value, midpointSlope, slope, curve, noise } = termsOf(this.#algorithm, { here: start, target, h });
    if (order === 1) return { sample: keep, outputs: [value], noise };
    const r0 = ((this.#levels[pass] as Level).lambda - start.lambda) / h;
    const isHeun = this.#settings.solver_type === 'heun';
    if (order === 2) {
      const newest = (isHeun ? slope : midpointSlope) / r0;
      return { sample: keep, outputs: [newest, value - newest], noise };
    }
    if (!isHeun) return { sample: keep, outputs: [slope / r0, 0, value - slope / r0], noise };
    const r1 = ((this.#levels[pass - 1] as Level).lambda - start.lambda) / h;
    const newest = (2 * curve - slope * r1) / (r0 - r1) / r0;
    const middle = (slope * r0 - 2 * curve) / (r0 - r1) / r1;
    return { sample: keep, outputs: [newest, middle, value - newest - middle], noise };
  }
}

function timestepsOf(settings: typeof DEFAULTS, alphas: Float32Array, steps: number): number[] {
  const clipped = clippedTimesteps(alphas, settings.lambda_min_clipped);
  return multistepTimesteps({ spacing: 'linspace', steps, trained: settings.num_train_timesteps, offset: 0, clipped });
}

/** Groups of 1, 2, … up to the order; the last ones are lower, so that the steps come out even. Source: get_order_list. */
function ordersOf(
  { solver_order: order, lower_order_final: lower, final_sigmas_type: final }: typeof DEFAULTS,
  steps: number,
): number[] {
  const group = Array.from({ length: order }, (_, index) => index + 1);
  const groups = (count: number): number[] => Array.from({ length: count }, () => group).flat();
  const rest = steps % order;
  if (order === 1 || (!lower && rest === 0 && final !== 'zero')) return groups(steps / order);
  // Without a rest the last group is cut, and its place is filled with first orders.
  const orders =
    rest === 0
      ? [...groups(steps / order - 1), ...group.slice(0, -1), 1]
      : [...groups(Math.floor(steps / order)), ...group.slice(0, rest)];
  return final === 'zero' ? [...orders.slice(0, -1), 1] : orders;
}

/** diffusers' step ends in an error there. */
function cannotThreshold({ thresholding, algorithm_type: algorithm }: SchedulerConfig): string | undefined {
  if (thresholding !== true || algorithm !== 'dpmsolver') return undefined;
  return '"thresholding" is true, which "algorithm_type" "dpmsolver" does not have in this class; allowed: false';
}

const ALL_TIMESTEPS = 'the class spreads its steps over all timesteps';

export const DPM_SOLVER_SINGLESTEP: SchedulerClass = {
  className: 'DPMSolverSinglestepScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...sigmaSpacingKeys(z),
      ...thresholdingKeys(z),
      solver_order: z.int().min(1).max(3),
      algorithm_type: z.enum(['dpmsolver++', 'dpmsolver', 'sde-dpmsolver++', 'deis']),
      solver_type: z.enum(['midpoint', 'heun', 'logrho', 'bh1', 'bh2']),
      lower_order_final: z.boolean(),
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
      lambda_min_clipped: z.union([z.number(), z.literal('-Infinity')]).nullable(),
    }),
    onlyDefault: { ...FLOW_OFF, variance_type: [null] },
    withoutEffect: { timestep_spacing: ALL_TIMESTEPS, steps_offset: ALL_TIMESTEPS },
    contradiction: (config) => endsAtZero(config) ?? cannotThreshold(config) ?? clippedAway(config),
  }),
  names: [{ name: 'dpmpp_2s', settings: {}, sampler: 'DPM++ 2S' }],
  takes: ['timesteps'],
  scheduleTypes: ['karras', 'exponential', 'beta', 'simple'],
  create: (config, options) => new DPMSolverSinglestepScheduler(config, options),
};
