/** Linear multistep of order 4 over sigmas, as in k-diffusion. Source: diffusers schedulers/scheduling_lms_discrete.py, LMSDiscreteScheduler. */
import { TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
import { firstPassOf, passAt, PassOrder } from './passes.ts';
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
import { PLAIN_SPACING } from './sigma-schedules.ts';
import { sigmaTimetable, withUnitVariance } from './sigma-timetable.ts';
import { sigmaSpacingKeys, trainedRules } from './training-rules.ts';

const f32 = Math.fround;

const DEFAULTS = {
  ...TRAINING_DEFAULTS,
  ...PLAIN_SPACING,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

const ORDER = 4;

class LMSDiscreteScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #predictionType: string;
  readonly #order = new PassOrder();
  /** Newest first, at most four. */
  #derivatives: Float32Array[] = [];

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    this.#predictionType = settings.prediction_type;
    const { timesteps, sigmas, initNoiseSigma } = sigmaTimetable(settings, steps, { hasWholeKarras: false });
    this.passes = timesteps.map((timestep, pass) => ({ timestep, sigma: sigmas[pass] as number }));
    this.initNoiseSigma = initNoiseSigma;
  }

  firstPass(strength: number): number {
    return firstPassOf(strength, this.passes.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    return withUnitVariance(sample, passAt(this.passes, pass).sigma);
  }

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    this.#order.enter(pass);
    const originalOf = varianceExploding(this.#predictionType, sigma);
    const original = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    const derivative = sample.map((value, index) => f32(value - (original[index] as number)) / sigma);
    this.#derivatives = [derivative, ...this.#derivatives].slice(0, ORDER);
    // As diffusers: a loop that begins in the middle takes the weights of the full order, and leaves out what it does not know.
    const weights = this.#weights(pass, Math.min(pass + 1, ORDER)).slice(0, this.#derivatives.length);
    const result = sample.map((value, index) =>
      weights.reduce(
        (sum, weight, place) => sum + weight * ((this.#derivatives[place] as Float32Array)[index] as number),
        value,
      ),
    );
    return { sample: result, original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }

  /** Of each derivative, newest first: the integral of its Lagrange polynomial over the step. */
  #weights(pass: number, order: number): number[] {
    const known = Array.from({ length: order }, (_, back) => passAt(this.passes, pass - back).sigma);
    const [from, to] = [known[0] as number, this.passes[pass + 1]?.sigma ?? 0];
    return known.map((own, place) => {
      const others = known.filter((_, other) => other !== place);
      return integral(from, to, (sigma) =>
        others.reduce((product, other) => (product * (sigma - other)) / (own - other), 1),
      );
    });
  }
}

/** Exact for polynomials up to the 5th degree: Gauss' rule with three points. */
function integral(from: number, to: number, value: (at: number) => number): number {
  const [middle, half] = [(from + to) / 2, (to - from) / 2];
  const outer = Math.sqrt(3 / 5) * half;
  return (half * (5 * value(middle - outer) + 8 * value(middle) + 5 * value(middle + outer))) / 9;
}

export const LMS: SchedulerClass = {
  className: 'LMSDiscreteScheduler',
  rules: trainedRules({ keys: sigmaSpacingKeys }),
  names: [{ name: 'lms', settings: {}, sampler: 'LMS' }],
  scheduleTypes: ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal'],
  create: (config, options) => new LMSDiscreteScheduler(config, options),
};
