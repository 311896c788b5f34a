/** Rules about pass numbers that all schedulers share. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { SchedulerPass } from './scheduler.ts';

/** The pass with this number. @throws `internal`, because only the pipeline counts them */
export function passAt(passes: readonly SchedulerPass[], pass: number): SchedulerPass {
  const found = passes[pass];
  if (found !== undefined) return found;
  throw new Text2ImgError('internal', `there is no pass ${pass}; the scheduler has ${passes.length}.`);
}

/**
 * Where image-to-image begins. Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion_img2img.py, get_timesteps.
 * @param strength above 0, at most 1 @throws `invalid_parameter` when no step is left
 */
export function firstPassOf(strength: number, steps: number): number {
  const left = Math.min(Math.trunc(steps * strength), steps);
  if (strength <= 1 && left >= 1) return steps - left;
  throw new Text2ImgError(
    'invalid_parameter',
    `"strength" is ${strength}; with ${steps} steps allowed are numbers from ${1 / steps} to 1.`,
  );
}

/** Counts the passes of one run, for methods that look back: each must follow the one before. */
export class PassOrder {
  #first: number | undefined;
  #next = 0;

  /** @returns how many passes of this run came before it @throws `internal` for a pass that is out of order */
  enter(pass: number): number {
    this.#first ??= this.#next = pass;
    if (pass !== this.#next)
      throw new Text2ImgError(
        'internal',
        `pass ${pass} came where the scheduler expects pass ${this.#next}: its method looks back at the passes before.`,
      );
    this.#next++;
    return pass - this.#first;
  }
}
