/**
 * DEIS (arXiv 2204.13902), log-rho multistep of orders 1 to 3. It ends at the lowest sigma of training.
 * Source: diffusers schedulers/scheduling_deis_multistep.py, DEISMultistepScheduler.
 */
import { type Level, levelOf } from './dpm-solver-update.ts';
import { multistepSchedule } from './multistep-schedule.ts';
import { cumulatedAlphas, requireSteps, sigmaOf, TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
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
import { PLAIN_SPACING } from './sigma-schedules.ts';
import { THRESHOLD_DEFAULTS, thresholded } from './thresholding.ts';
import { FLOW_OFF, sigmaSpacingKeys, thresholdingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...PLAIN_SPACING,
  ...THRESHOLD_DEFAULTS,
  solver_order: 2,
  prediction_type: 'epsilon',
  lower_order_final: true,
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

/** Below this many steps the last ones are taken with a lower order. */
const FEW_STEPS = 15;

class DEISMultistepScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma = 1;
  readonly #settings: typeof DEFAULTS;
  /** One more than there are passes. */
  readonly #levels: readonly Level[];
  readonly #order = new PassOrder();
  /** The noise that the network predicted, newest first, at most `solver_order`. */
  #outputs: Float32Array[] = [];

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    requireSteps(steps, 1, settings.num_train_timesteps - (settings.timestep_spacing === 'trailing' ? 0 : 1));
    this.#settings = settings;
    const trained = cumulatedAlphas(settings).map(sigmaOf);
    const { timesteps, sigmas, lowest } = multistepSchedule(settings, trained, steps);
    this.passes = timesteps.map((timestep, pass) => ({ timestep, sigma: f32(sigmas[pass] as number) }));
    this.#levels = [...this.passes.map(({ sigma }) => sigma), f32(lowest)].map(levelOf);
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
    const { alpha, sigma } = this.#levels[pass] as Level;
    const prediction = variancePreserving(this.#settings.prediction_type, alpha, sigma);
    const original = thresholded(
      sample.map((value, index) => prediction.original(value, modelOutput[index] as number)),
      this.#settings,
    );
    const noise = sample.map((value, index) => f32(value - f32(alpha * (original[index] as number))) / sigma);
    this.#outputs = [noise, ...this.#outputs].slice(0, this.#settings.solver_order);
    const order = Math.min(this.#outputs.length, this.#allowedOrder(pass));
    return { sample: this.#update(sample, pass, order), original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    passAt(this.passes, pass);
    const { alpha, sigma } = this.#levels[pass] as Level;
    return original.map((value, index) => f32(alpha * value) + f32(sigma * (noise[index] as number)));
  }

  #allowedOrder(pass: number): number {
    const { solver_order: order, lower_order_final: lowerOrderFinal } = this.#settings;
    const left = this.passes.length - pass;
    return lowerOrderFinal && this.passes.length < FEW_STEPS ? Math.min(order, left) : order;
  }

  #update(sample: Float32Array, pass: number, order: number): Float32Array {
    const [target, here] = [this.#levels[pass + 1] as Level, this.#levels[pass] as Level];
    const newest = this.#outputs[0] as Float32Array;
    if (order === 1) {
      const keep = f32(target.alpha / here.alpha);
      const weight = f32(target.sigma * f32(f32(Math.exp(f32(target.lambda - here.lambda))) - 1));
      return sample.map((value, index) => f32(keep * value) - f32(weight * (newest[index] as number)));
    }
    const rhos = this.#levels
      .slice(pass + 1 - order, pass + 2)
      .toReversed()
      .map(({ alpha, sigma }) => f32(sigma / alpha));
    const weights = order === 2 ? secondOrder(rhos) : thirdOrder(rhos);
    return sample.map(
      (value, index) =>
        target.alpha *
        weights.reduce(
          (sum, weight, place) => f32(sum + f32(weight * ((this.#outputs[place] as Float32Array)[index] as number))),
          f32(value / here.alpha),
        ),
    );
  }
}

/** Each is the integral of a Lagrange polynomial in log ρ, from the newest ρ to the target. @param rhos the target's, then newest first */
function secondOrder(rhos: readonly number[]): number[] {
  const [target, newest, older] = rhos as readonly [number, number, number];
  const integral = (at: number, b: number, c: number): number =>
    (at * (Math.log(at) - Math.log(c) - 1)) / (Math.log(b) - Math.log(c));
  return [
    integral(target, newest, older) - integral(newest, newest, older),
    integral(target, older, newest) - integral(newest, older, newest),
  ];
}

function thirdOrder(rhos: readonly number[]): number[] {
  const [target, newest, older, oldest] = rhos as readonly [number, number, number, number];
  const integral = (at: number, b: number, c: number, d: number): number => {
    const [x, logB, logC, logD] = [Math.log(at), Math.log(b), Math.log(c), Math.log(d)];
    const sum = logC * (logD - x + 1) - logD * x + logD + x ** 2 - 2 * x + 2;
    return (at * sum) / ((logB - logC) * (logB - logD));
  };
  const between = (b: number, c: number, d: number): number => integral(target, b, c, d) - integral(newest, b, c, d);
  return [between(newest, older, oldest), between(older, oldest, newest), between(oldest, newest, older)];
}

export const DEIS: SchedulerClass = {
  className: 'DEISMultistepScheduler',
  rules: trainedRules({
    keys: (z) => ({
      ...sigmaSpacingKeys(z),
      ...thresholdingKeys(z),
      solver_order: z.int().min(1).max(3),
      algorithm_type: z.enum(['deis', 'dpmsolver', 'dpmsolver++']),
      solver_type: z.enum(['logrho', 'midpoint', 'heun', 'bh1', 'bh2']),
      lower_order_final: z.boolean(),
    }),
    onlyDefault: FLOW_OFF,
  }),
  names: [{ name: 'deis', settings: {}, sampler: 'DEIS' }],
  scheduleTypes: ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal'],
  create: (config, options) => new DEISMultistepScheduler(config, options),
};
