/**
 * The timesteps and sigmas that the multistep solvers share. They take one point more than steps, and leave the last one out.
 * Source: diffusers schedulers/scheduling_unipc_multistep.py and scheduling_deis_multistep.py, set_timesteps.
 */
import { interpolate, roundHalfEven } from '../lib/float32.ts';
import { spreadTimesteps, timestepOfSigma, trailingTimesteps } from './noise-schedule.ts';
import { type SigmaSpacing, spacedSigmas } from './sigma-schedules.ts';

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

/** @param trained sigmas of training, upwards */
export function multistepSchedule(
  settings: MultistepSettings,
  trained: Float32Array,
  steps: number,
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
  const timesteps = multistepTimesteps({ spacing, steps, trained: count, offset });
  return {
    timesteps,
    sigmas: timesteps.map((timestep) => interpolate(trained, timestep)),
    lowest: trained[0] as number,
  };
}
