/**
 * The timesteps and sigmas that the multistep solvers share. They take one point more than steps, and leave the last one out.
 * Source: diffusers schedulers/scheduling_unipc_multistep.py and scheduling_deis_multistep.py, set_timesteps.
 */
import { interpolate, roundHalfEven } from '../lib/float32.ts';
import { quote } from '../lib/foreign-text.ts';
import {
  cumulatedAlphas,
  spreadTimesteps,
  timestepOfSigma,
  TRAINING_DEFAULTS,
  trailingTimesteps,
  withDefaults,
} from './noise-schedule.ts';
import type { SchedulerConfig } from './scheduler.ts';
import { type SigmaSpacing, spacedSigmas } from './sigma-schedules.ts';

const f32 = Math.fround;

interface MultistepSpread {
  readonly spacing: string;
  readonly steps: number;
  readonly trained: number;
  readonly offset: number;
  /** How many of the noisiest timesteps are left out. */
  readonly clipped?: number;
}

/** Downwards, whole. */
export function multistepTimesteps({ spacing, steps, trained, offset, clipped = 0 }: MultistepSpread): number[] {
  const used = trained - clipped;
  if (spacing === 'trailing') return trailingTimesteps(used, trained / steps);
  return spreadTimesteps({ spacing, steps: steps + 1, used, offset, round: roundHalfEven }).slice(0, -1);
}

interface MultistepSettings extends SigmaSpacing {
  readonly num_train_timesteps: number;
  readonly timestep_spacing: string;
  readonly steps_offset: number;
  readonly sigma_min?: number | null;
  readonly sigma_max?: number | null;
}

interface MultistepSchedule {
  readonly timesteps: readonly number[];
  readonly sigmas: readonly number[];
  /** The lowest sigma: of the spaced ones, or of training. A run that does not go to 0 ends there. */
  readonly lowest: number;
}

/** @param trained sigmas of training, upwards @param clipped how many of the noisiest timesteps are left out */
export function multistepSchedule(
  settings: MultistepSettings,
  trained: Float32Array,
  steps: number,
  clipped = 0,
): MultistepSchedule {
  const highest = settings.sigma_max ?? trained.at(-1) ?? 0;
  const lowest = settings.sigma_min ?? trained[0] ?? 0;
  const spaced = spacedSigmas(settings, { highest, lowest, count: steps });
  if (spaced !== undefined) {
    // diffusers rounds Karras' timesteps and cuts the others.
    const round = settings.use_karras_sigmas === true ? roundHalfEven : Math.trunc;
    const timesteps = spaced.map((sigma) => round(timestepOfSigma(sigma, trained)));
    return { timesteps, sigmas: spaced, lowest: spaced.at(-1) as number };
  }
  const { timestep_spacing: spacing, num_train_timesteps: count, steps_offset: offset } = settings;
  const timesteps = multistepTimesteps({ spacing, steps, trained: count, offset, clipped });
  return {
    timesteps,
    sigmas: timesteps.map((timestep) => interpolate(trained, timestep)),
    lowest: trained[0] as number,
  };
}

/** How many of the noisiest timesteps lie below the smallest λ that is used (for cosine schedules, whose λ runs off at the end). */
export function clippedTimesteps(alphas: Float32Array, lambdaMin: number | string | null): number {
  if (typeof lambdaMin !== 'number') return 0;
  const upwards = alphas
    .map((alpha) => f32(Math.log(f32(Math.sqrt(alpha)))) - f32(Math.log(f32(Math.sqrt(f32(1 - alpha))))))
    .toReversed();
  const index = upwards.findIndex((lambda) => lambda >= lambdaMin);
  return index === -1 ? upwards.length : index;
}

/** Source: diffusers schedulers/scheduling_dpmsolver_multistep.py, __init__. */
export function endsAtZero(config: SchedulerConfig): string | undefined {
  const { algorithm_type: algorithm = 'dpmsolver++', final_sigmas_type: final = 'zero' } = config;
  if (algorithm === 'dpmsolver++' || algorithm === 'sde-dpmsolver++' || final !== 'zero') return undefined;
  return `"final_sigmas_type" is "zero", which "algorithm_type" ${quote(algorithm)} does not allow; allowed: "sigma_min"`;
}

/** All timesteps below the smallest λ that is used: there is nothing to spread the steps over. */
export function clippedAway(config: SchedulerConfig): string | undefined {
  const settings = withDefaults({ ...TRAINING_DEFAULTS, lambda_min_clipped: Number.NEGATIVE_INFINITY }, config);
  const left = settings.num_train_timesteps - clippedTimesteps(cumulatedAlphas(settings), settings.lambda_min_clipped);
  if (left >= 1) return undefined;
  return `"lambda_min_clipped" is ${settings.lambda_min_clipped}, which leaves no timestep; allowed are smaller numbers`;
}
