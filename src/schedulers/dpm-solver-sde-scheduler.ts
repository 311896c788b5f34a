/**
 * DPM-Solver++ as a stochastic differential equation, as k-diffusion has it: two passes a step, each with noise from one Brownian path. So n steps take
 * 2n − 1 passes. Source: diffusers schedulers/scheduling_dpmsolver_sde.py, DPMSolverSDEScheduler.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
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

class DPMSolverSDEScheduler implements Scheduler {
  readonly passes: readonly SchedulerPass[];
  readonly initNoiseSigma: number;
  readonly noiseInterval: { readonly from: number; readonly to: number };
  /** Where each step begins. */
  readonly #sigmas: readonly number[];
  readonly #predictionType: string;
  readonly #order = new PassOrder();
  /** Where the step began. */
  #start: Float32Array | undefined;

  constructor(config: SchedulerConfig, { steps }: SchedulerOptions) {
    const settings = withDefaults(DEFAULTS, config);
    this.#predictionType = settings.prediction_type;
    const { trained, timesteps, sigmas, initNoiseSigma } = sigmaTimetable(settings, steps, {
      hasWholeKarras: false,
      isDouble: true,
    });
    this.initNoiseSigma = initNoiseSigma;
    this.#sigmas = sigmas;
    this.noiseInterval = { from: Math.min(...sigmas), to: Math.max(...sigmas) };
    this.passes = sigmas.flatMap((from, step) => {
      const [pass, to] = [{ timestep: timesteps[step] as number, sigma: from }, sigmas[step + 1]];
      if (to === undefined) return [pass];
      const sigma = sigmaOfTime(middleTime(from, to));
      return [pass, { timestep: timestepOfSigma(sigma, trained), sigma }];
    });
  }

  firstPass(strength: number): number {
    return 2 * firstPassOf(strength, this.#sigmas.length);
  }

  scaleModelInput(sample: Float32Array, pass: number): Float32Array {
    return withUnitVariance(sample, passAt(this.passes, pass).sigma);
  }

  step({ modelOutput, sample, pass, noise }: SchedulerStep): SchedulerStepResult {
    const { sigma } = passAt(this.passes, pass);
    this.#order.enter(pass);
    const originalOf = varianceExploding(this.#predictionType, sigma);
    const original = sample.map((value, index) => originalOf(value, modelOutput[index] as number));
    const step = Math.floor(pass / 2);
    const [from, to] = [this.#sigmas[step] as number, this.#sigmas[step + 1]];
    if (to === undefined) {
      const last = sample.map(
        (value, index) => value + f32(f32(f32(value - (original[index] as number)) / from) * -from),
      );
      return { sample: last, original };
    }
    const start = this.#start;
    const end = start === undefined ? middleTime(from, to) : timeOfSigma(to);
    const { keep, growth, up } = ancestral(timeOfSigma(from), end);
    if (noise.between === undefined)
      throw new Text2ImgError('internal', 'the scheduler asks for a Brownian path, and the noise has none.');
    const fresh = noise.between(sigmaOfTime(timeOfSigma(from)), sigmaOfTime(end), sample.length);
    const result = (start ?? sample).map((value, index) => {
      const moved = f32(f32(keep * value) - f32(growth * (original[index] as number)));
      return moved + f32((fresh[index] as number) * up);
    });
    this.#start = start === undefined ? sample : undefined;
    return { sample: result, original };
  }

  addNoise({ original, noise, pass }: NoisedSample): Float32Array {
    const { sigma } = passAt(this.passes, pass);
    return original.map((value, index) => value + f32((noise[index] as number) * sigma));
  }
}

/** The method's time is the negative logarithm of sigma, in float32. */
function timeOfSigma(sigma: number): number {
  return -f32(Math.log(sigma));
}

function sigmaOfTime(time: number): number {
  return f32(Math.exp(-time));
}

function middleTime(from: number, to: number): number {
  const [start, end] = [timeOfSigma(from), timeOfSigma(to)];
  return f32(start + f32(f32(end - start) * 0.5));
}

/** A step that goes below its end, so that the noise leads up to it. */
function ancestral(
  start: number,
  end: number,
): { readonly keep: number; readonly growth: number; readonly up: number } {
  const [from, to] = [sigmaOfTime(start), sigmaOfTime(end)];
  const [squared, toSquared] = [f32(from * from), f32(to * to)];
  const up = Math.min(to, f32(Math.sqrt(f32(f32(toSquared * f32(squared - toSquared)) / squared))));
  const rest = f32(toSquared - f32(up * up));
  // Rounding leaves nothing where the first sigma is thousands of times the second; diffusers ends in NaN there.
  const down = rest > 0 ? f32(Math.sqrt(rest)) : f32(toSquared / from);
  const time = timeOfSigma(down);
  return { keep: f32(sigmaOfTime(time) / from), growth: f32(Math.expm1(f32(start - time))), up };
}

export const DPM_SOLVER_SDE: SchedulerClass = {
  className: 'DPMSolverSDEScheduler',
  rules: trainedRules({
    keys: (z) => ({ ...sigmaSpacingKeys(z), prediction_type: z.enum(['epsilon', 'v_prediction']) }),
    withoutEffect: { noise_sampler_seed: 'each image has its own seed' },
  }),
  names: [{ name: 'dpmpp_sde', settings: {}, sampler: 'DPM++ SDE', aliases: ['dpmpp_sde_gpu'], automatic: 'karras' }],
  scheduleTypes: ['karras', 'exponential', 'beta', 'sgm_uniform', 'normal'],
  create: (config, options) => new DPMSolverSDEScheduler(config, options),
};
