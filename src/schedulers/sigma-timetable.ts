/**
 * The timesteps and sigmas of the methods that come from k-diffusion and work on sigmas. Each step has one of both; behind the last one is sigma 0.
 * Source: diffusers schedulers/scheduling_lms_discrete.py and scheduling_k_dpm_2_discrete.py, set_timesteps.
 */
import { interpolate, roundHalfEven } from '../lib/float32.ts';
import {
  cumulatedAlphas,
  requireSteps,
  sigmaOf,
  spreadTimesteps,
  timestepOfSigma,
  type TrainingSchedule,
} from './noise-schedule.ts';
import { type SigmaSpacing, spacedSigmas } from './sigma-schedules.ts';

const f32 = Math.fround;

interface TimetableSettings extends TrainingSchedule, SigmaSpacing {
  readonly timestep_spacing: string;
  readonly steps_offset: number;
}

export interface SigmaTimetable {
  /** Of training, upwards. */
  readonly trained: Float32Array;
  readonly timesteps: readonly number[];
  /** float32 */
  readonly sigmas: readonly number[];
  readonly initNoiseSigma: number;
}

/** @param hasWholeKarras the class rounds the timesteps of Karras sigmas @param isDouble its timesteps are no float32 @throws `invalid_parameter` */
export function sigmaTimetable(
  settings: TimetableSettings,
  steps: number,
  { hasWholeKarras, isDouble = false }: { readonly hasWholeKarras: boolean; readonly isDouble?: boolean },
): SigmaTimetable {
  const { num_train_timesteps: used, timestep_spacing: spacing, steps_offset: offset } = settings;
  requireSteps(steps, 1, used);
  const trained = cumulatedAlphas(settings).map(sigmaOf);
  const even = spreadTimesteps({ spacing, steps, used, offset, round: isDouble ? Number : f32 });
  const evenSigmas = even.map((position) => interpolate(trained, position));
  const [highest, lowest] = [evenSigmas[0] as number, evenSigmas.at(-1) as number];
  const spaced = spacedSigmas(settings, { highest, lowest, count: steps });
  const round = hasWholeKarras && settings.use_karras_sigmas === true ? roundHalfEven : f32;
  const timesteps = spaced?.map((sigma) => round(timestepOfSigma(sigma, trained))) ?? even;
  const sigmas = (spaced ?? evenSigmas).map(f32);
  const largest = Math.max(...sigmas);
  return { trained, timesteps, sigmas, initNoiseSigma: spacing === 'leading' ? rootOfSquarePlusOne(largest) : largest };
}

/** √(σ² + 1), float32: the deviation of a sample of unit variance to which noise was added. */
export function rootOfSquarePlusOne(sigma: number): number {
  return f32(Math.sqrt(f32(f32(sigma * sigma) + 1)));
}

/** The network's input: the sample with the variance of data and noise together taken out. @param sigma of the pass */
export function withUnitVariance(sample: Float32Array, sigma: number): Float32Array {
  const divisor = rootOfSquarePlusOne(sigma);
  const scaled = new Float32Array(sample.length);
  for (let index = 0; index < scaled.length; index++) scaled[index] = (sample[index] as number) / divisor;
  return scaled;
}
