/** The size of an image that nobody asked a size for. */
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';
import { type VaeConfig, vaeScaleFactor } from './vae-sizes.ts';

/** In latents. */
interface LatentSize {
  readonly height: number;
  readonly width: number;
}

/** @param otherwise of a UNet that states none */
export function sampleSizeOf(
  { sample_size: size }: Pick<UNet2DConditionConfig, 'sample_size'>,
  otherwise: number,
): LatentSize {
  const [height, width] = Array.isArray(size) ? size : [size ?? otherwise, size ?? otherwise];
  return { height, width };
}

export function defaultSizePx(
  { height, width }: LatentSize,
  vae: Pick<VaeConfig, 'block_out_channels'>,
): { readonly defaultWidthPx: number; readonly defaultHeightPx: number } {
  const scaleFactor = vaeScaleFactor(vae);
  return { defaultWidthPx: width * scaleFactor, defaultHeightPx: height * scaleFactor };
}
