/**
 * DPM-Solver++ of orders 1 to 3, multistep, for EDM (arXiv 2211.01095, 2206.00364): nothing of the signal is taken away, and the network is
 * preconditioned. Source: diffusers schedulers/scheduling_edm_dpmsolver_multistep.py, EDMDPMSolverMultistepScheduler.
 */
import { torchLinspace } from '../lib/float32.ts';
import { type DpmAlgorithm, dpmCombined, dpmWeights, isStochastic, type Level } from './dpm-solver-update.ts';
import { EDM_DEFAULTS, edmInputFactor, edmOriginal, edmPasses, edmRules } from './edm-preconditioning.ts';
import { requireSteps, withDefaults } from './noise-schedule.ts';
import { firstPassOf, passAt, PassOrder } from './passes.ts';
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
import { THRESHOLD_DEFAULTS, thresholded } from './thresholding.ts';
import { thresholdingKeys } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...EDM_DEFAULTS,
  ...THRESHOLD_DEFAULTS,
  solver_order: 2,
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
  lower_order_final: true,
  euler_at_final: false,
};

/** Below this many steps the last ones are taken with a lower order. */
const FEW_STEPS = 15;

class EDMDPMSolverMultistepScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #settings: typeof DEFAULTS;
  readonly #algorithm: DpmAlgorithm;
  /** One more than there are passes. */
  readonly #levels: readonly Level[];
  readonly #order = new PassOrder();
  /** The images that the network predicted, newest first, at most `solver_order`. */
  #outputs: Float32Array[] = [];

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    requireSteps(steps, 1, settings.num_train_timesteps);
    this.#settings = settings;
    this.#algorithm = settings.algorithm_type === 'sde-dpmsolver++' ? 'sde-dpmsolver++' : 'dpmsolver++';
    this.passes = edmPasses(settings, torchLinspace(0, 1, steps));
    const last = settings.final_sigmas_type === 'sigma_min' ? f32(settings.sigma_min) : 0;
    this.#levels = [...this.passes.map(({ sigma }) => sigma), last].map((sigma) => ({
      alpha: 1,
      sigma,
      lambda: -f32(Math.log(sigma)),
    }));
    this.initNoiseSigma = Math.sqrt(settings.sigma_max ** 2 + 1);
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    const factor = edmInputFactor(this.#settings, passAt(this.passes, pass).sigma);
    return sample.map((value) => value * factor);
  }

  step({ modelOutput, sample, pass, noise: source }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    this.#order.enter(pass);
    const originalOf = edmOriginal(this.#settings, sigma);
    const predicted = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    const original = thresholded(predicted, this.#settings);
    this.#outputs = [original, ...this.#outputs].slice(0, this.#settings.solver_order);
    const order = Math.min(this.#outputs.length, this.#allowedOrder(pass));
    const weights = dpmWeights({
      algorithm: this.#algorithm,
      solverType: this.#settings.solver_type,
      order,
      target: this.#levels[pass + 1] as Level,
      levels: this.#levels.slice(pass + 1 - order, pass + 1).toReversed(),
    });
    const noise = isStochastic(this.#algorithm) ? { noise: source.next(sample.length) } : {};
    return { sample: dpmCombined(weights, { sample, outputs: this.#outputs, ...noise }), original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }

  #allowedOrder(pass: number): number {
    const settings = this.#settings;
    const { length } = this.passes;
    const lowerNearEnd = settings.lower_order_final && length < FEW_STEPS;
    const endsLow = settings.euler_at_final || lowerNearEnd || settings.final_sigmas_type === 'zero';
    if (pass === length - 1 && endsLow) return 1;
    return pass === length - 2 && lowerNearEnd ? Math.min(settings.solver_order, 2) : settings.solver_order;
  }
}

/** diffusers' step ends in an error there. */
function noThirdOrder({ algorithm_type: algorithm, solver_order: order }: SchedulerConfig): string | undefined {
  if (algorithm !== 'sde-dpmsolver++' || order !== 3) return undefined;
  return '"solver_order" is 3, which "algorithm_type" "sde-dpmsolver++" does not have in this class; allowed: 1, 2';
}

export const EDM_DPM_SOLVER_MULTISTEP: SchedulerClass = {
  className: 'EDMDPMSolverMultistepScheduler',
  rules: edmRules({
    keys: (z) => ({
      ...thresholdingKeys(z),
      solver_order: z.int().min(1).max(3),
      algorithm_type: z.enum(['dpmsolver++', 'sde-dpmsolver++', 'deis']),
      solver_type: z.enum(['midpoint', 'heun', 'logrho', 'bh1', 'bh2']),
      lower_order_final: z.boolean(),
      euler_at_final: z.boolean(),
    }),
    contradiction: noThirdOrder,
  }),
  names: [{ name: 'edm_dpmpp_2m', settings: {}, sampler: 'EDM DPM++ 2M' }],
  scheduleTypes: ['karras', 'exponential'],
  create: (config, options) => new EDMDPMSolverMultistepScheduler(config, options),
};
