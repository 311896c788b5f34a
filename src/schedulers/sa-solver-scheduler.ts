/**
 * SA-Solver (arXiv 2309.05019): a stochastic Adams method with a predictor and a corrector. Between the timesteps 200 and 800 each step adds fresh noise.
 * It ends at the lowest sigma of training. Source: diffusers schedulers/scheduling_sasolver.py, SASolverScheduler.
 */
import { type Level, levelOf } from './dpm-solver-update.ts';
import { clippedAway, clippedTimesteps, multistepSchedule } from './multistep-schedule.ts';
import { cumulatedAlphas, requireSteps, sigmaOf, TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
import { firstPassOf, passAt, PassOrder } from './passes.ts';
import { variancePreserving } from './prediction.ts';
import { saCoefficients } from './sa-solver-coefficients.ts';
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
import { PLAIN_SPACING } from './sigma-schedules.ts';
import { THRESHOLD_DEFAULTS, thresholded } from './thresholding.ts';
import { FLOW_OFF, sigmaSpacingKeys, thresholdingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...PLAIN_SPACING,
  ...THRESHOLD_DEFAULTS,
  predictor_order: 2,
  corrector_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'data_prediction',
  lower_order_final: true,
  lambda_min_clipped: Number.NEGATIVE_INFINITY as number | string | null,
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

interface Update {
  readonly from: Float32Array;
  readonly here: Level;
  readonly target: Level;
  /** Where `outputs` were made, newest first. */
  readonly lambdas: readonly number[];
  readonly outputs: readonly Float32Array[];
  readonly noise: Float32Array;
  /** How much of the noise is fresh: 0 or 1. */
  readonly tau: number;
  readonly isCorrector: boolean;
}

class SASolverScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  readonly #isOfImage: boolean;
  /** One more than there are passes. */
  readonly #levels: readonly Level[];
  readonly #order = new PassOrder();
  /** Converted outputs of the network, newest first. */
  #outputs: Float32Array[] = [];
  #last: { readonly sample: Float32Array; readonly noise: Float32Array; readonly correctorOrder: number } | undefined;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    requireSteps(steps, 1, settings.num_train_timesteps - (settings.timestep_spacing === 'trailing' ? 0 : 1));
    this.#settings = settings;
    this.#isOfImage = settings.algorithm_type === 'data_prediction';
    const alphas = cumulatedAlphas(settings);
    const clipped = clippedTimesteps(alphas, settings.lambda_min_clipped);
    const { timesteps, sigmas, lowest } = multistepSchedule(settings, alphas.map(sigmaOf), steps, clipped);
    this.passes = timesteps.map((timestep, pass) => ({ timestep, sigma: f32(sigmas[pass] as number) }));
    this.#levels = [...this.passes.map(({ sigma }) => sigma), f32(lowest)].map(levelOf);
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step({ modelOutput, sample, pass, noise: source }: SchedulerStep): SchedulerStepResult {
    passAt(this.passes, pass);
    const count = this.#order.enter(pass);
    const { predictor_order: predictor, corrector_order: corrector, lower_order_final: isLower } = this.#settings;
    const kept = Math.max(predictor, corrector - 1);
    const converted = this.#converted(sample, modelOutput, this.#levels[pass] as Level);
    const corrected = this.#corrected(sample, converted, pass);
    this.#outputs = [converted, ...this.#outputs].slice(0, kept);
    const noise = source.next(sample.length);
    const known = Math.min(count, kept);
    const left = isLower ? this.passes.length - pass : Number.POSITIVE_INFINITY;
    const order = Math.min(predictor, left, known + 1);
    this.#last = { sample: corrected, noise, correctorOrder: Math.min(corrector, left + 1, known + 2) };
    const result = this.#update({
      from: corrected,
      here: this.#levels[pass] as Level,
      target: this.#levels[pass + 1] as Level,
      lambdas: this.#lambdasBefore(pass, order),
      outputs: this.#outputs,
      noise,
      tau: this.#tauAt(pass),
      isCorrector: false,
    });
    return this.#isOfImage ? { sample: result, original: converted } : { sample: result };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    passAt(this.passes, pass);
    const { alpha, sigma } = this.#levels[pass] as Level;
    return original.map((value, index) => f32(alpha * value) + f32(sigma * (noise[index] as number)));
  }

  /** The predicted image or the predicted noise, as the method needs it. */
  #converted(sample: Float32Array, modelOutput: Float32Array, { alpha, sigma }: Level): Float32Array {
    const prediction = variancePreserving(this.#settings.prediction_type, alpha, sigma);
    const convert = this.#isOfImage ? prediction.original : prediction.noise;
    const converted = sample.map((value, index) => convert(value, modelOutput[index] as number));
    return this.#isOfImage ? thresholded(converted, this.#settings) : converted;
  }

  /** The sample of the step before, made again with the output that is known now. */
  #corrected(sample: Float32Array, newest: Float32Array, pass: number): Float32Array {
    if (this.#last === undefined) return sample;
    const { sample: from, noise, correctorOrder } = this.#last;
    return this.#update({
      from,
      here: this.#levels[pass - 1] as Level,
      target: this.#levels[pass] as Level,
      lambdas: this.#lambdasBefore(pass, correctorOrder),
      outputs: [newest, ...this.#outputs],
      noise,
      tau: this.#tauAt(pass - 1),
      isCorrector: true,
    });
  }

  /** Newest first. */
  #lambdasBefore(pass: number, count: number): number[] {
    const levels = this.#levels.slice(pass + 1 - count, pass + 1);
    return levels.toReversed().map(({ lambda }) => lambda);
  }

  #tauAt(pass: number): number {
    const { timestep } = passAt(this.passes, pass);
    return timestep >= 200 && timestep <= 800 ? 1 : 0;
  }

  #update({ from, here, target, lambdas, outputs, noise, tau, isCorrector }: Update): Float32Array {
    const h = target.lambda - here.lambda;
    const interval = { from: here.lambda, to: target.lambda };
    const rate = 1 + tau ** 2;
    const isOfImage = this.#isOfImage;
    const coefficients = saCoefficients({ interval, lambdas, rate: isOfImage ? rate : -1, isCorrector });
    const scale = isOfImage ? rate * target.sigma * Math.exp(-(tau ** 2) * target.lambda) : -rate * target.alpha;
    const keep = isOfImage ? Math.exp(-(tau ** 2) * h) * (target.sigma / here.sigma) : target.alpha / here.alpha;
    const added = isOfImage
      ? target.sigma * Math.sqrt(1 - Math.exp(-2 * tau ** 2 * h))
      : tau * target.sigma * Math.sqrt(Math.exp(2 * h) - 1);
    return from.map((value, index) =>
      coefficients.reduce(
        (sum, coefficient, place) => sum + scale * coefficient * ((outputs[place] as Float32Array)[index] as number),
        keep * value + added * (noise[index] as number),
      ),
    );
  }
}

/** diffusers' step ends in an error there. */
function cannotThreshold({ thresholding, algorithm_type: algorithm }: SchedulerConfig): string | undefined {
  if (thresholding !== true || algorithm !== 'noise_prediction') return undefined;
  return '"thresholding" is true, which "algorithm_type" "noise_prediction" does not have; allowed: false';
}

export const SA_SOLVER: SchedulerClass = {
  className: 'SASolverScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...sigmaSpacingKeys(z),
      ...thresholdingKeys(z),
      predictor_order: z.int().min(1).max(4),
      corrector_order: z.int().min(1).max(4),
      algorithm_type: z.enum(['data_prediction', 'noise_prediction']),
      lower_order_final: z.boolean(),
      lambda_min_clipped: z.union([z.number(), z.literal('-Infinity')]).nullable(),
    }),
    onlyDefault: { ...FLOW_OFF, tau_func: [null], variance_type: [null] },
    contradiction: (config) => cannotThreshold(config) ?? clippedAway(config),
  }),
  names: [{ name: 'sa_solver', settings: {}, sampler: 'SA-Solver' }],
  scheduleTypes: ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal'],
  create: (config, options) => new SASolverScheduler(config, options),
};
