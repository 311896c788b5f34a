/** Refuses requests that the pipeline cannot generate, before anything is computed. Source: diffusers pipeline_stable_diffusion.py, check_inputs. */
import { whole } from '../../job/field-types.ts';
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';
import { REQUEST_FIELDS, SIDE_MULTIPLE_PX } from '../../job/request-fields.ts';
import { checkResolved } from '../../job/resolve-request.ts';

/** @param latentPx how many pixels one latent is wide and high: the smallest image @throws `invalid_parameter`, `unknown_scheduler` */
export function checkRequest(request: ResolvedGenerationRequest, latentPx: number): void {
  const side = whole({ min: Math.max(SIDE_MULTIPLE_PX, latentPx), max: Infinity, multipleOf: SIDE_MULTIPLE_PX });
  for (const name of ['widthPx', 'heightPx'] as const) {
    const value = request[name];
    if (side.parse(value) === undefined) throw side.refuse(REQUEST_FIELDS[name].wire, value);
  }
  // The protocol checks kinds only, so that a message out of range ends its job and not the engine.
  checkResolved(request);
}
