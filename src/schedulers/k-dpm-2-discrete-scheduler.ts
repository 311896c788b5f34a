/**
 * DPM-Solver-2 as k-diffusion has it (arXiv 2206.00927, algorithm 1). Each step goes to a sigma in the middle. With the derivative from there it goes
 * from its start to its end. So n steps take 2n − 1 passes.
 * Source: diffusers schedulers/scheduling_k_dpm_2_discrete.py, KDPM2DiscreteScheduler.
 */
import { timestepOfSigma, TRAINING_DEFAULTS, withDefaults } from './noise-schedule.ts';
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
  beta_start: 0.00085,
  beta_end: 0.012,
  prediction_type: 'epsilon',
  timestep_spacing: 'linspace',
  steps_offset: 0,
};

interface MidpointStep {
  readonly from: number;
  /** Between both in log sigma; 0 in the last step, which goes there at once. */
  readonly middle: number;
  readonly to: number;
}

class KDPM2DiscreteScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #steps: readonly MidpointStep[];
  readonly #predictionType: string;
  readonly #order = new PassOrder();
  /** Where the step began. */
  #start: Float32Array | undefined;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    this.#predictionType = settings.prediction_type;
    const { trained, timesteps, sigmas, initNoiseSigma } = sigmaTimetable(settings, steps, { hasWholeKarras: true });
    this.initNoiseSigma = initNoiseSigma;
    this.#steps = sigmas.map((from, step) => {
      const to = sigmas[step + 1] ?? 0;
      return { from, middle: middleOf(from, to), to };
    });
    this.passes = this.#steps.flatMap(({ from, middle }, step) => [
      { timestep: timesteps[step] as number, sigma: from },
      ...(middle === 0 ? [] : [{ timestep: f32(timestepOfSigma(middle, trained)), sigma: middle }]),
    ]);
  }

  firstPass(strength: number): number {
    return 2 * firstPassOf(strength, this.#steps.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    return withUnitVariance(sample, passAt(this.passes, pass).sigma);
  }

  step({ modelOutput, sample, pass }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    this.#order.enter(pass);
    const { from, middle, to } = this.#steps[Math.floor(pass / 2)] as MidpointStep;
    const originalOf = varianceExploding(this.#predictionType, sigma);
    const original = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    const isFirst = this.#start === undefined;
    const start = this.#start ?? sample;
    const distance = f32((isFirst ? middle : to) - from);
    this.#start = isFirst ? sample : undefined;
    const result = start.map((value, index) => {
      const derivative = f32(f32((sample[index] as number) - (original[index] as number)) / sigma);
      return value + f32(derivative * distance);
    });
    return { sample: result, original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }
}

/** torch.lerp of the logarithms, which are float32. */
function middleOf(from: number, to: number): number {
  const [high, low] = [f32(Math.log(from)), f32(Math.log(to))];
  return to === 0 ? 0 : f32(Math.exp(f32(high - f32(f32(high - low) * 0.5))));
}

export const KDPM2: SchedulerClass = {
  className: 'KDPM2DiscreteScheduler',
  rules: trainedRules({
    keys: (z) => ({ ...sigmaSpacingKeys(z), prediction_type: z.enum(['epsilon', 'v_prediction']) }),
  }),
  names: [{ name: 'dpm2', settings: {}, sampler: 'DPM2', aliases: ['dpm_2', 'kdpm2'], automatic: 'karras' }],
  scheduleTypes: ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal'],
  create: (config, options) => new KDPM2DiscreteScheduler(config, options),
};
