/**
 * What the schedulers share: the training schedule's cumulated alphas and the ways to spread inference steps over it, in the precision in which
 * torch and numpy compute them (last digits decide pixels).
 */
import { Text2ImgError } from '../errors/text2img-error.ts';

const f32 = Math.fround;

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
export function requireSteps(numInferenceSteps: number, atLeast: number, atMost: number): void {
  if (Number.isInteger(numInferenceSteps) && numInferenceSteps >= atLeast && numInferenceSteps <= atMost) return;
  throw new Text2ImgError(
    'invalid_parameter',
    `num_inference_steps is ${numInferenceSteps}; allowed are whole numbers from ${atLeast} to ${atMost}.`,
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
  /** Where sigmas are formed, the last alpha may not be zero: they take 2^-24 instead. */
  readonly keepLastPositive?: boolean;
}

/** ᾱ of every training timestep, float32. Source: diffusers schedulers/scheduling_ddim.py, DDIMScheduler.__init__. */
export function cumulatedAlphas(schedule: TrainingSchedule, options: CumulatedAlphaOptions = {}): Float32Array {
  const alphas = trainingBetas(schedule).map((beta) => f32(1 - beta));
  const cumulated = cumulatedProduct(options.rescaleZeroSnr === true ? rescaleZeroTerminalSnr(alphas) : alphas);
  if (options.rescaleZeroSnr === true && options.keepLastPositive === true) cumulated[cumulated.length - 1] = 2 ** -24;
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
      return Float32Array.from({ length: count }, (_, index) =>
        Math.min(1 - cosineAlpha((index + 1) / count) / cosineAlpha(index / count), 0.999),
      );
    default:
      throw new Text2ImgError(
        'unsupported_config',
        `the scheduler's "beta_schedule" is "${beta_schedule}"; allowed: linear, scaled_linear, squaredcos_cap_v2.`,
      );
  }
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

/** torch.cumprod on the CPU: the product is kept in double and rounded for each result. */
function cumulatedProduct(factors: Float32Array): Float32Array {
  let product = 1;
  return factors.map((factor) => {
    product *= factor;
    return product;
  });
}

/** torch.linspace in float32: from both ends towards the middle. */
export function torchLinspace(start: number, end: number, count: number): Float32Array {
  const [first, last] = [f32(start), f32(end)];
  const step = f32(f32(last - first) / (count - 1));
  if (count === 1) return Float32Array.of(first);
  return Float32Array.from({ length: count }, (_, index) =>
    index < Math.floor(count / 2) ? first + step * index : last - step * (count - 1 - index),
  );
}

/** numpy.linspace in double. */
export function numpyLinspace(start: number, end: number, count: number): number[] {
  const step = (end - start) / (count - 1);
  return Array.from({ length: count }, (_, index) =>
    index === count - 1 && count > 1 ? end : start + (count === 1 ? 0 : index * step),
  );
}

/** numpy's round: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** `numpy.arange(from, 0, -ratio)`, rounded, minus one: the "trailing" spacing. */
export function trailingTimesteps(from: number, ratio: number): number[] {
  return Array.from({ length: Math.ceil(from / ratio) }, (_, index) => roundHalfEven(from - index * ratio) - 1);
}

/** `numpy.arange(0, count) * ratio`, downwards, plus the offset: the "leading" spacing. */
export function leadingTimesteps(count: number, ratio: number, offset: number): number[] {
  return Array.from({ length: count }, (_, index) => (count - 1 - index) * ratio + offset);
}

/** √((1 − ᾱ) / ᾱ) of every training timestep, float32. */
export function trainingSigmas(alphasCumulated: Float32Array): Float32Array {
  return alphasCumulated.map((alpha) => Math.sqrt(f32(f32(1 - alpha) / alpha)));
}

/** numpy.interp over indices: `values` at a fractional position. */
export function interpolate(values: Float32Array, position: number): number {
  const low = Math.min(Math.max(Math.floor(position), 0), values.length - 1);
  const high = Math.min(low + 1, values.length - 1);
  const [a, b] = [values[low] as number, values[high] as number];
  return a + (b - a) * Math.min(Math.max(position - low, 0), 1);
}

/** Sigmas spread evenly in their 7th root. Source: arXiv 2206.00364; diffusers schedulers/scheduling_euler_discrete.py, _convert_to_karras. */
export function karrasSigmas(sigmaMin: number, sigmaMax: number, count: number): number[] {
  const rho = 7;
  const [low, high] = [sigmaMin ** (1 / rho), sigmaMax ** (1 / rho)];
  return numpyLinspace(0, 1, count).map((ramp) => (high + ramp * (low - high)) ** rho);
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
