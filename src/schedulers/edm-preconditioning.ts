/**
 * Sigmas between two ends, and the preconditioning of the network: all schedulers of EDM have both (arXiv 2206.00364).
 * Source: diffusers schedulers/scheduling_edm_euler.py and scheduling_edm_dpmsolver_multistep.py, precondition_inputs, precondition_noise and
 * precondition_outputs.
 */
import { torchLinspace } from '../lib/float32.ts';
import type { SchedulerClass, SchedulerPass, Zod } from './scheduler.ts';
import type { z } from 'zod';

const f32 = Math.fround;

export const EDM_DEFAULTS = {
  sigma_min: 0.002,
  sigma_max: 80,
  sigma_data: 0.5,
  sigma_schedule: 'karras',
  num_train_timesteps: 1000,
  prediction_type: 'epsilon',
  rho: 7,
  final_sigmas_type: 'zero',
};

type EdmSettings = typeof EDM_DEFAULTS;

/** @param ramp from 0 to 1, for Karras' sigmas @returns the passes downwards */
export function edmPasses(settings: EdmSettings, ramp: ArrayLike<number>): readonly SchedulerPass[] {
  const { sigma_min: lowest, sigma_max: highest, rho } = settings;
  const [low, high] = [lowest ** (1 / rho), highest ** (1 / rho)];
  const sigmas =
    settings.sigma_schedule === 'exponential'
      ? Array.from(torchLinspace(Math.log(lowest), Math.log(highest), ramp.length), Math.exp).toReversed()
      : Array.from(ramp, (place) => (high + place * (low - high)) ** rho);
  return sigmas.map((sigma) => ({ timestep: f32(0.25 * f32(Math.log(f32(sigma)))), sigma: f32(sigma) }));
}

/** Of the network's input. */
export function edmInputFactor({ sigma_data: data }: EdmSettings, sigma: number): number {
  return f32(1 / f32(Math.sqrt(sum(sigma, data))));
}

/** The image that follows from the network's output. */
export function edmOriginal(
  { sigma_data: data, prediction_type: type }: EdmSettings,
  sigma: number,
): (value: number, output: number) => number {
  const total = sum(sigma, data);
  const skip = f32(data ** 2 / total);
  const out = f32(f32((type === 'v_prediction' ? -sigma : sigma) * data) / f32(Math.sqrt(total)));
  return (value, output) => f32(f32(skip * value) + f32(out * output));
}

function sum(sigma: number, data: number): number {
  return f32(f32(sigma * sigma) + data ** 2);
}

/** The rules of a class; there are no betas. */
export function edmRules({
  keys = () => ({}),
  contradiction,
}: {
  readonly keys?: (zod: Zod) => z.ZodRawShape;
  readonly contradiction?: (config: Readonly<Record<string, unknown>>) => string | undefined;
} = {}): SchedulerClass['rules'] {
  return (zod) => {
    const sigma = zod.number().positive().max(1e6);
    const implemented = {
      sigma_min: sigma,
      sigma_max: sigma,
      sigma_data: sigma,
      sigma_schedule: zod.enum(['karras', 'exponential']),
      num_train_timesteps: zod.int().positive().max(100_000),
      prediction_type: zod.enum(['epsilon', 'v_prediction']),
      rho: zod.number().positive().max(100),
      final_sigmas_type: zod.enum(['zero', 'sigma_min']),
      ...keys(zod),
    };
    return {
      implemented: zod.object(implemented).partial(),
      implementedKeys: Object.keys(implemented),
      withoutEffect: {},
      onlyDefault: {},
      contradiction: (config) => endsOfRange(config) ?? contradiction?.(config),
    };
  };
}

function endsOfRange(config: Readonly<Record<string, unknown>>): string | undefined {
  const { sigma_min: low, sigma_max: high } = { ...EDM_DEFAULTS, ...config };
  if (low < high) return undefined;
  return `"sigma_min" is ${low}; it must be below "sigma_max", which is ${high}`;
}
