/**
 * DPM-Solver-2 with ancestral sampling, as k-diffusion has it: each step removes more noise than it must, in two passes, and adds fresh noise. So n
 * steps take 2n − 1 passes.
 * Source: diffusers schedulers/scheduling_k_dpm_2_ancestral_discrete.py, KDPM2AncestralDiscreteScheduler.
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

interface AncestralStep {
  readonly from: number;
  /** Between `from` and `down` in log sigma; 0 in the last step, which goes there at once. */
  readonly middle: number;
  /** Below the next sigma. */
  readonly down: number;
  /** The noise that leads from there to the next sigma. */
  readonly up: number;
}

class KDPM2AncestralDiscreteScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly #steps: readonly AncestralStep[];
  readonly #predictionType: string;
  readonly #order = new PassOrder();
  /** Where the step began. */
  #start: Float32Array | undefined;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    this.#predictionType = settings.prediction_type;
    const { trained, timesteps, sigmas, initNoiseSigma } = sigmaTimetable(settings, steps, { hasWholeKarras: true });
    this.initNoiseSigma = initNoiseSigma;
    this.#steps = sigmas.map((from, step) => ancestralStep(from, sigmas[step + 1] ?? 0));
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

  step({ modelOutput, sample, pass, noise }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    this.#order.enter(pass);
    const { from, middle, down, up } = this.#steps[Math.floor(pass / 2)] as AncestralStep;
    const originalOf = varianceExploding(this.#predictionType, sigma);
    const original = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    const start = this.#start;
    const distance = f32((start === undefined ? middle : down) - from);
    const moved = (start ?? sample).map((value, index) => {
      const derivative = f32(f32((sample[index] as number) - (original[index] as number)) / sigma);
      return value + f32(derivative * distance);
    });
    if (start === undefined) {
      this.#start = sample;
      return { sample: moved, original };
    }
    this.#start = undefined;
    const fresh = noise.next(sample.length);
    return { sample: moved.map((value, index) => value + f32((fresh[index] as number) * up)), original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }
}

function ancestralStep(from: number, to: number): AncestralStep {
  if (to === 0) return { from, middle: 0, down: 0, up: 0 };
  const [squared, toSquared] = [f32(from * from), f32(to * to)];
  const up = f32(Math.sqrt(f32(f32(toSquared * f32(squared - toSquared)) / squared)));
  const rest = f32(toSquared - f32(up * up));
  // Rounding leaves nothing where the first sigma is thousands of times the second; diffusers ends in NaN there.
  const down = rest > 0 ? f32(Math.sqrt(rest)) : f32(toSquared / from);
  const [high, low] = [f32(Math.log(from)), f32(Math.log(down))];
  // torch.lerp of the logarithms.
  return { from, middle: f32(Math.exp(f32(low - f32(f32(low - high) * 0.5)))), down, up };
}

export const KDPM2_ANCESTRAL: SchedulerClass = {
  className: 'KDPM2AncestralDiscreteScheduler',
  rules: trainedRules({
    keys: (z) => ({ ...sigmaSpacingKeys(z), prediction_type: z.enum(['epsilon', 'v_prediction']) }),
  }),
  names: [
    {
      name: 'dpm2_a',
      settings: {},
      sampler: 'DPM2 a',
      aliases: ['dpm_2_ancestral', 'dpm2_ancestral', 'kdpm2_a', 'kdpm2_ancestral'],
      automatic: 'karras',
    },
  ],
  scheduleTypes: ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal'],
  create: (config, options) => new KDPM2AncestralDiscreteScheduler(config, options),
};
