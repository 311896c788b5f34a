/**
 * The sizes that XL's UNet reads: the imagined original's, the image's corner in it, and the one that describes the image.
 * Source: diffusers pipelines/stable_diffusion_xl/pipeline_stable_diffusion_xl.py, __call__ (defaults), _get_add_time_ids.
 */
import type { ResolvedGenerationRequest } from '../../job/generation-request.ts';

/** Original height and width, top and left, target height and width. */
export type SizeIds = readonly number[];

const NO_CROP = [0, 0] as const;

export function sizeIdsOf(request: ResolvedGenerationRequest): {
  readonly conditional: SizeIds;
  readonly unconditional: SizeIds;
} {
  const size = [request.heightPx, request.widthPx] as const;
  const { originalSize, cropsCoordsTopLeft: crop, targetSize } = request;
  const conditional = [...(originalSize ?? size), ...(crop ?? NO_CROP), ...(targetSize ?? size)];
  const { negativeOriginalSize, negativeCropsCoordsTopLeft: negativeCrop, negativeTargetSize } = request;
  if (negativeOriginalSize === null || negativeTargetSize === null) return { conditional, unconditional: conditional };
  return {
    conditional,
    unconditional: [...negativeOriginalSize, ...(negativeCrop ?? NO_CROP), ...negativeTargetSize],
  };
}
