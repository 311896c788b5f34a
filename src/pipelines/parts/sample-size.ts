/** The size of an image that nobody asked a size for. */
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';
import type { ImageSize } from '../family.ts';
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

/** Of the graphs for an image that is generated with guidance, which runs both halves. */
export function latentSizes(
  vae: Pick<VaeConfig, 'block_out_channels'>,
  { widthPx, heightPx }: ImageSize,
): { readonly batch: number; readonly height: number; readonly width: number } {
  const scaleFactor = vaeScaleFactor(vae);
  return { batch: 2, height: Math.floor(heightPx / scaleFactor), width: Math.floor(widthPx / scaleFactor) };
}
