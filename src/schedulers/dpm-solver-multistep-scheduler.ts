/**
 * DPM-Solver and DPM-Solver++ of orders 1 to 3, multistep (arXiv 2206.00927, 2211.01095), with or without Karras sigmas.
 * Source: diffusers schedulers/scheduling_dpmsolver_multistep.py, DPMSolverMultistepScheduler.
 */
import { interpolate, roundHalfEven } from '../lib/float32.ts';
import {
  cumulatedAlphas,
  karrasSigmas,
  requireSteps,
  sigmaOf,
  spreadTimesteps,
  timestepOfSigma,
  TRAINING_DEFAULTS,
  trailingTimesteps,
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
import { SIGMA_SPACING_OFF, THRESHOLDING_OFF, thresholdingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  solver_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
  lower_order_final: true,
  euler_at_final: false,
  use_karras_sigmas: false as boolean | null,
  final_sigmas_type: 'zero',
  lambda_min_clipped: Number.NEGATIVE_INFINITY as number | string | null,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  rescale_betas_zero_snr: false,
};

/** Below this many steps the last ones are taken with a lower order. */
const FEW_STEPS = 15;

/** Signal, noise and half the log signal-to-noise ratio at a sigma. */
interface Level {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

class DPMSolverMultistepScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  readonly #isPlusPlus: boolean;
  /** One more than there are passes. */
  readonly #levels: readonly Level[];
  readonly #order = new PassOrder();
  /** Converted outputs of the network, newest first, at most `solver_order`. */
  #outputs: Float32Array[] = [];

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    // The other spacings take one point more than steps. With as many steps as were trained, two points would coincide, and the method divides by
    // their distance.
    requireSteps(steps, 1, settings.num_train_timesteps - (settings.timestep_spacing === 'trailing' ? 0 : 1));
    this.#settings = settings;
    this.#isPlusPlus = settings.algorithm_type === 'dpmsolver++';
    const alphas = cumulatedAlphas(settings, {
      rescaleZeroSnr: settings.rescale_betas_zero_snr,
      keepLastPositive: true,
    });
    const trained = alphas.map(sigmaOf);
    let timesteps = timestepsOf(settings, alphas, steps);
    let sigmas = timesteps.map((timestep) => interpolate(trained, timestep));
    if (settings.use_karras_sigmas === true) {
      sigmas = karrasSigmas(trained[0] as number, trained.at(-1) as number, steps);
      const toTimestep = settings.beta_schedule === 'squaredcos_cap_v2' ? Math.trunc : roundHalfEven;
      timesteps = sigmas.map((sigma) => toTimestep(timestepOfSigma(sigma, trained)));
    }
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

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    passAt(this.passes, pass);
    this.#order.enter(pass);
    const { solver_order: order, prediction_type: type } = this.#settings;
    const { alpha, sigma } = this.#levels[pass] as Level;
    const prediction = variancePreserving(type, alpha, sigma);
    const convert = this.#isPlusPlus ? prediction.original : prediction.noise;
    const converted = sample.map((value, index) => convert(value, modelOutput[index] as number));
    this.#outputs = [converted, ...this.#outputs].slice(0, order);
    const result = this.#update(sample, pass, Math.min(this.#outputs.length, this.#allowedOrder(pass)));
    return this.#isPlusPlus ? { sample: result, original: converted } : { sample: result };
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

  #update(sample: Float32Array, pass: number, order: number): Float32Array {
    const here = this.#levels[pass] as Level;
    const target = this.#levels[pass + 1] as Level;
    const weights = this.#outputWeights(pass, order);
    const keep = this.#isPlusPlus ? f32(target.sigma / here.sigma) : f32(target.alpha / here.alpha);
    return sample.map((value, index) =>
      weights.reduce(
        (sum, weight, place) => sum + weight * ((this.#outputs[place] as Float32Array)[index] as number),
        keep * value,
      ),
    );
  }

  /** The weight of each known output, newest first: the paper's D0, D1, D2 multiplied out. */
  #outputWeights(pass: number, order: number): number[] {
    const target = this.#levels[pass + 1] as Level;
    const h = f32(target.lambda - (this.#levels[pass] as Level).lambda);
    const sign = this.#isPlusPlus ? -1 : 1;
    const scale = this.#isPlusPlus ? target.alpha : target.sigma;
    const growth = Math.exp(sign * h) - 1;
    const first = -scale * growth;
    if (order === 1) return [first];
    const ratio = (back: number): number =>
      ((this.#levels[pass - back + 1] as Level).lambda - (this.#levels[pass - back] as Level).lambda) / h;
    const r0 = ratio(1);
    const slope = this.#isPlusPlus ? scale * (growth / h + 1) : -scale * (growth / h - 1);
    if (order === 2) {
      const second = (this.#settings.solver_type === 'heun' ? slope : -0.5 * scale * growth) / r0;
      return [first + second, -second];
    }
    const r1 = ratio(2);
    const curve = this.#isPlusPlus ? -scale * ((growth + h) / h ** 2 - 0.5) : -scale * ((growth - h) / h ** 2 - 0.5);
    const mixed = slope * (r0 / (r0 + r1)) + curve / (r0 + r1);
    const recent = (slope + mixed) / r0;
    const older = -mixed / r1;
    return [first + recent, older - recent, -older];
  }
}

function levelOf(noiseLevel: number): Level {
  const alpha = f32(1 / f32(Math.sqrt(f32(f32(noiseLevel * noiseLevel) + 1))));
  const sigma = f32(noiseLevel * alpha);
  return { alpha, sigma, lambda: f32(f32(Math.log(alpha)) - f32(Math.log(sigma))) };
}

function timestepsOf(settings: typeof DEFAULTS, alphas: Float32Array, steps: number): number[] {
  const { num_train_timesteps: trained, timestep_spacing: spacing, steps_offset: offset } = settings;
  const used = trained - clippedTimesteps(alphas, settings.lambda_min_clipped);
  if (spacing === 'trailing') return trailingTimesteps(used, trained / steps);
  return spreadTimesteps({ spacing, steps: steps + 1, used, offset, round: roundHalfEven }).slice(0, -1);
}

/** How many of the noisiest timesteps lie below the smallest λ that is used (for cosine schedules, whose λ runs off at the end). */
function clippedTimesteps(alphas: Float32Array, lambdaMin: number | string | null): number {
  if (typeof lambdaMin !== 'number') return 0;
  const upwards = alphas
    .map((alpha) => f32(Math.log(f32(Math.sqrt(alpha)))) - f32(Math.log(f32(Math.sqrt(f32(1 - alpha))))))
    .toReversed();
  const index = upwards.findIndex((lambda) => lambda >= lambdaMin);
  return index === -1 ? upwards.length : index;
}

/** Source: diffusers schedulers/scheduling_dpmsolver_multistep.py, __init__. */
function endsAtZero(config: SchedulerConfig): string | undefined {
  const { algorithm_type: algorithm = 'dpmsolver++', final_sigmas_type: final = 'zero' } = config;
  if (algorithm !== 'dpmsolver' || final !== 'zero') return undefined;
  return `"final_sigmas_type" is "zero", which "algorithm_type" "dpmsolver" does not allow; allowed: "sigma_min"`;
}

/** All timesteps below the smallest λ that is used: there is nothing to spread the steps over. */
function clippedAway(config: SchedulerConfig): string | undefined {
  const settings = withDefaults(DEFAULTS, config);
  const left = settings.num_train_timesteps - clippedTimesteps(cumulatedAlphas(settings), settings.lambda_min_clipped);
  if (left >= 1) return undefined;
  return `"lambda_min_clipped" is ${settings.lambda_min_clipped}, which leaves no timestep; allowed are smaller numbers`;
}

export const DPM_SOLVER_MULTISTEP: SchedulerClass = {
  className: 'DPMSolverMultistepScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...thresholdingKeys(z),
      solver_order: z.int().min(1).max(3),
      algorithm_type: z.enum(['dpmsolver++', 'dpmsolver']),
      solver_type: z.enum(['midpoint', 'heun']),
      lower_order_final: z.boolean(),
      euler_at_final: z.boolean(),
      use_karras_sigmas: z.boolean().nullable(),
      final_sigmas_type: z.enum(['zero', 'sigma_min']),
      lambda_min_clipped: z.union([z.number(), z.literal('-Infinity')]).nullable(),
      rescale_betas_zero_snr: z.boolean(),
    }),
    onlyDefault: {
      ...THRESHOLDING_OFF,
      ...SIGMA_SPACING_OFF,
      use_lu_lambdas: [false, null],
      use_flow_sigmas: [false, null],
      flow_shift: [1],
      variance_type: [null],
      use_dynamic_shifting: [false],
      time_shift_type: ['exponential'],
    },
    contradiction: (config) => endsAtZero(config) ?? clippedAway(config),
  }),
  names: [
    { name: 'dpmpp_2m', settings: { use_karras_sigmas: false }, sampler: 'DPM++ 2M' },
    { name: 'dpmpp_2m_karras', settings: { use_karras_sigmas: true }, sampler: 'DPM++ 2M', scheduleType: 'Karras' },
  ],
  create: (config, options) => new DPMSolverMultistepScheduler(config, options),
};
