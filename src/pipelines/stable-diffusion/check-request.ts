/** Refuses what the pipeline cannot draw, before anything is computed. Source: diffusers pipeline_stable_diffusion.py, check_inputs. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';

const SIZE_MULTIPLE_PX = 8;

/** @param latentPx how many pixels one latent is wide and high: the smallest image @throws `invalid_parameter` */
export function checkRequest(request: ResolvedGenerationRequest, latentPx: number): void {
  const smallest = Math.max(SIZE_MULTIPLE_PX, latentPx);
  for (const [name, value] of [
    ['width', request.widthPx],
    ['height', request.heightPx],
  ] as const) {
    if (!Number.isInteger(value) || value < smallest || value % SIZE_MULTIPLE_PX !== 0) {
      throw refuse(name, value, `multiples of ${SIZE_MULTIPLE_PX} from ${smallest}`);
    }
  }
  if (!Number.isFinite(request.guidanceScale)) throw refuse('guidance_scale', request.guidanceScale, 'finite numbers');
  if (!Number.isInteger(request.numInferenceSteps) || request.numInferenceSteps < 1) {
    throw refuse('num_inference_steps', request.numInferenceSteps, 'whole numbers from 1');
  }
  if (!Number.isInteger(request.numImages) || request.numImages < 1)
    throw refuse('num_images', request.numImages, 'whole numbers from 1');
  // In this order: the sum of a large seed and the number would be rounded before 1 is taken away.
  const lastSeed = request.seed + (request.numImages - 1);
  if (!Number.isSafeInteger(request.seed) || request.seed < 0 || !Number.isSafeInteger(lastSeed)) {
    throw refuse('seed', request.seed, `whole numbers from 0 to ${Number.MAX_SAFE_INTEGER}, the last image's included`);
  }
}

function refuse(name: string, value: number, allowed: string): Text2ImgError {
  return new Text2ImgError('invalid_parameter', `"${name}" is ${value}; allowed are ${allowed}.`);
}
