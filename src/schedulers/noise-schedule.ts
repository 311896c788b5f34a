/** Training's noise schedule, and the ways to spread inference steps over it, in the precision of torch and numpy. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { cumulatedProduct, numpyLinspace, roundHalfEven, torchLinspace } from '../lib/float32.ts';

const f32 = Math.fround;

/**
 * Rescaling to zero terminal SNR leaves this much of the signal where sigmas are formed, because sigma would be infinite at 0.
 * Source: diffusers schedulers/scheduling_euler_discrete.py, __init__.
 */
const LEAST_ALPHA = 2 ** -24;
/** Its sigma: √(2²⁴ − 1), which lies all but halfway between two float32. The lower one is nearer; torch's square root gives the upper one. */
const LARGEST_SIGMA = 4096;

export interface TrainingSchedule {
  readonly num_train_timesteps: number;
  readonly beta_start: number;
  readonly beta_end: number;
  readonly beta_schedule: string;
  readonly trained_betas: readonly number[] | null;
}

/** The defaults that all classes of diffusers share. */
export const TRAINING_DEFAULTS: TrainingSchedule = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: 'linear',
  trained_betas: null,
};

/** `defaults` with the values that `config` states; keys of other classes are left out. */
export function withDefaults<T extends object>(defaults: T, config: Readonly<Record<string, unknown>>): T {
  const stated = Object.keys(defaults).filter((key) => config[key] !== undefined);
  return { ...defaults, ...(Object.fromEntries(stated.map((key) => [key, config[key]])) as Partial<T>) };
}

/** @throws `invalid_parameter` */
export function requireSteps(steps: number, atLeast: number, atMost: number): void {
  if (Number.isInteger(steps) && steps >= atLeast && steps <= atMost) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `num_inference_steps is ${steps}; allowed are whole numbers from ${atLeast} to ${atMost}.`,
  );
}

/** An offset can push the first of very many timesteps beyond the trained ones. @throws `invalid_parameter` */
export function requireTrainedTimesteps(timesteps: readonly number[], trained: number): void {
  if (timesteps.every((timestep) => timestep < trained)) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `num_inference_steps is ${timesteps.length}, which reaches beyond the ${trained} trained timesteps; allowed are fewer.`,
  );
}

export interface CumulatedAlphaOptions {
  readonly rescaleZeroSnr?: boolean;
  /** Where sigmas are formed, the last alpha may not be zero. */
  readonly keepLastPositive?: boolean;
}

/** ᾱ of every training timestep, float32. Source: diffusers schedulers/scheduling_ddim.py, DDIMScheduler.__init__. */
export function cumulatedAlphas(schedule: TrainingSchedule, options: CumulatedAlphaOptions = {}): Float32Array {
  const alphas = trainingBetas(schedule).map((beta) => f32(1 - beta));
  const cumulated = cumulatedProduct(options.rescaleZeroSnr === true ? rescaleZeroTerminalSnr(alphas) : alphas);
  if (options.rescaleZeroSnr === true && options.keepLastPositive === true)
    cumulated[cumulated.length - 1] = LEAST_ALPHA;
  return cumulated;
}

function trainingBetas({
  num_train_timesteps: count,
  beta_start,
  beta_end,
  beta_schedule,
  trained_betas,
}: TrainingSchedule): Float32Array {
  if (trained_betas !== null) return Float32Array.from(trained_betas);
  switch (beta_schedule) {
    case 'linear':
      return torchLinspace(beta_start, beta_end, count);
    case 'scaled_linear':
      return torchLinspace(Math.sqrt(beta_start), Math.sqrt(beta_end), count).map((root) => root * root);
    case 'squaredcos_cap_v2':
      return betasOf(cosineAlpha, count);
    case 'laplace':
      return betasOf(laplaceAlpha, count);
    case 'sigmoid':
      return torchLinspace(-6, 6, count).map(
        (value) => f32(f32(1 / (1 + Math.exp(-value))) * f32(beta_end - beta_start)) + f32(beta_start),
      );
    default:
      throw new Text2ImgError(
        'unsupported_config',
        `the scheduler's "beta_schedule" is "${beta_schedule}"; allowed: linear, scaled_linear, squaredcos_cap_v2, sigmoid, laplace.`,
      );
  }
}

/** @param alphaAt how much of the signal's variance is left at a time from 0 to 1 */
function betasOf(alphaAt: (time: number) => number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, index) =>
    Math.min(1 - alphaAt((index + 1) / count) / alphaAt(index / count), 0.999),
  );
}

/** Source: diffusers schedulers/scheduling_utils.py, betas_for_alpha_bar with the laplace transform. */
function laplaceAlpha(time: number): number {
  const side = 0.5 - time >= 0 ? 1 : -1;
  const snr = Math.exp(-0.5 * side * Math.log(1 - 2 * Math.abs(0.5 - time) + 1e-6));
  return Math.sqrt(snr / (1 + snr));
}

/** Source: diffusers schedulers/scheduling_utils.py, betas_for_alpha_bar with the cosine transform. */
function cosineAlpha(time: number): number {
  return Math.cos((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2;
}

/** Source: diffusers schedulers/scheduling_ddim.py, rescale_zero_terminal_snr (arXiv 2305.08891, algorithm 1). */
function rescaleZeroTerminalSnr(alphas: Float32Array): Float32Array {
  const roots = cumulatedProduct(alphas).map(Math.sqrt);
  const first = roots[0] as number;
  const last = roots.at(-1) as number;
  const scale = f32(first / f32(first - last));
  const bars = roots.map((root) => f32(f32(root - last) * scale)).map((root) => root * root);
  // Back to betas and again to alphas, as the reference goes.
  return bars.map((bar, index) => {
    const alpha = index === 0 ? bar : f32(bar / (bars[index - 1] as number));
    return f32(1 - f32(1 - alpha));
  });
}

export interface TimestepSpread {
  /** `timestep_spacing`: leading, trailing or linspace. */
  readonly spacing: string;
  readonly steps: number;
  /** How many of the trained timesteps are used, from 0 on. */
  readonly used: number;
  /** `steps_offset`; only `leading` reads it. */
  readonly offset: number;
  /** Rounds the fractions of `linspace`. */
  readonly round: (timestep: number) => number;
}

/** Downwards. Source: diffusers schedulers/scheduling_ddim.py, set_timesteps (arXiv 2305.08891, table 2). */
export function spreadTimesteps({ spacing, steps, used, offset, round }: TimestepSpread): number[] {
  switch (spacing) {
    case 'trailing':
      return trailingTimesteps(used, used / steps);
    case 'leading': {
      const ratio = Math.floor(used / steps);
      return Array.from({ length: steps }, (_, index) => (steps - 1 - index) * ratio + offset);
    }
    default:
      return numpyLinspace(0, used - 1, steps)
        .map(round)
        .toReversed();
  }
}

/** `numpy.arange(from, 0, -ratio)`, rounded, minus one. */
export function trailingTimesteps(from: number, ratio: number): number[] {
  return Array.from({ length: Math.ceil(from / ratio) }, (_, index) => roundHalfEven(from - index * ratio) - 1);
}

/** √((1 − ᾱ) / ᾱ), float32: noise relative to signal. */
export function sigmaOf(alphaCumulated: number): number {
  if (alphaCumulated === LEAST_ALPHA) return LARGEST_SIGMA;
  return f32(Math.sqrt(f32(f32(1 - alphaCumulated) / alphaCumulated)));
}

/** √ᾱ and √(1 − ᾱ), float32: how much signal and how much noise a sample has. */
export function signalAndNoise(alphaCumulated: number): { readonly signal: number; readonly noise: number } {
  return { signal: f32(Math.sqrt(alphaCumulated)), noise: f32(Math.sqrt(f32(1 - alphaCumulated))) };
}

/** The (fractional) timestep at which training had this sigma, linear in log sigma. Source: scheduling_euler_discrete.py, _sigma_to_t. */
export function timestepOfSigma(sigma: number, sigmas: Float32Array): number {
  const logSigma = Math.log(Math.max(sigma, 1e-10));
  const logs = sigmas.map(Math.log);
  const above = logs.findLastIndex((log) => logSigma - log >= 0);
  const low = Math.min(Math.max(above, 0), logs.length - 2);
  const [a, b] = [logs[low] as number, logs[low + 1] as number];
  const weight = Math.min(Math.max((a - logSigma) / f32(a - b), 0), 1);
  return (1 - weight) * low + weight * (low + 1);
}
