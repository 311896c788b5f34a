/** Sizes that follow from an autoencoder's configuration. */
import type { AutoencoderKlConfig } from '../../networks/autoencoder-kl-config.ts';
import type { AutoencoderTinyConfig } from '../../networks/autoencoder-tiny-config.ts';

/** Of every class of autoencoders that a latent diffusion model may have. */
export type VaeConfig = AutoencoderKlConfig | AutoencoderTinyConfig;

/** How many pixels one latent is wide and high. */
export function vaeScaleFactor({ block_out_channels: channels }: Pick<VaeConfig, 'block_out_channels'>): number {
  return 2 ** (channels.length - 1);
}

/** The size of a tile. */
export function vaeSampleSizePx({ sample_size: size }: Pick<VaeConfig, 'sample_size'>): number {
  return Array.isArray(size) ? size[0] : size;
}
