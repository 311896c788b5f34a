/**
 * The timesteps of consistency models: a part of those that the student was distilled on.
 * Source: diffusers schedulers/scheduling_lcm.py and scheduling_tcd.py, set_timesteps.
 */
import { requireSteps } from './noise-schedule.ts';
import type { SchedulerOptions } from './scheduler.ts';

interface Distillation {
  readonly num_train_timesteps: number;
  /** How many timesteps the student saw. */
  readonly original_inference_steps: number;
}

/** @throws `invalid_parameter` for more steps than the student saw */
export function distilledTimesteps(
  { num_train_timesteps: trained, original_inference_steps: original }: Distillation,
  { steps, timesteps }: SchedulerOptions,
): readonly number[] {
  if (timesteps !== undefined) return timesteps;
  requireSteps(steps, 1, original);
  const distance = Math.floor(trained / original);
  return Array.from({ length: steps }, (_, index) => {
    const place = original - 1 - Math.floor((index * original) / steps);
    return (place + 1) * distance - 1;
  });
}
