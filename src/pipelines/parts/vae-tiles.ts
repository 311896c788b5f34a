/** Which tiles an autoencoder decodes in: each class has its own. */
import type { CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { AUTOENCODER_TINY } from '../../networks/autoencoder-tiny.ts';
import type { VaeDecoder } from './networks.ts';
import { type VaeConfig, vaeSampleSizePx, vaeScaleFactor } from './vae-sizes.ts';
import { nearestTileSize, tiledVaeDecoder } from './vae-tiling.ts';
import { tiledTinyVaeDecoder } from './vae-tiling-tiny.ts';

type Vae = Pick<CheckpointNetwork<VaeConfig>, 'networkClass' | 'config' | 'configPath'>;

/** AutoencoderTiny's tiles in diffusers fit only decoders that enlarge as much as this. */
const TINY_SCALE_FACTOR = 8;

/** `decoder`, tile by tile. @param vae one that `requireTiles` allows @param sizePx one that `tileSizes` gives */
export function tiledDecoder(
  decoder: VaeDecoder,
  { networkClass, config }: Vae,
  sizePx = vaeSampleSizePx(config),
): VaeDecoder {
  return isTiny(networkClass) ? tiledTinyVaeDecoder(decoder, sizePx) : tiledVaeDecoder(decoder, sizePx);
}

/** Tiles of fewer latents show where they join. */
const SMALLEST_TILE_LATENTS = 32;

/**
 * The sizes of tiles that an autoencoder can decode in, the largest first: its own, then halves for little memory. Tiles of XL's own size are as large
 * as most of its images. None where tiles do not join.
 */
export function tileSizes({ networkClass, config }: Vae): readonly number[] {
  const scale = vaeScaleFactor(config);
  const own = vaeSampleSizePx(config);
  const sizes = [own];
  for (let size = own / 2; size >= SMALLEST_TILE_LATENTS * scale; size /= 2) sizes.push(size);
  return sizes.filter((size) =>
    isTiny(networkClass)
      ? scale === TINY_SCALE_FACTOR && Number.isInteger(size / (TINY_SCALE_FACTOR * scale))
      : Number.isInteger(size / scale) && nearestTileSize(size, scale) === size,
  );
}

/** @throws `unsupported_config` for an autoencoder whose tiles do not join */
export function requireTiles({ networkClass, config, configPath }: Vae): void {
  const scale = vaeScaleFactor(config);
  if (isTiny(networkClass)) {
    if (scale === TINY_SCALE_FACTOR) return;
    throw new Text2ImgError(
      'unsupported_config',
      `${configPath}: one latent becomes ${scale} pixels wide, so --vae-tiling cannot be used; tiles of AutoencoderTiny need ${TINY_SCALE_FACTOR}.`,
    );
  }
  const size = vaeSampleSizePx(config);
  const nearest = nearestTileSize(size, scale);
  if (nearest === size) return;
  throw new Text2ImgError(
    'unsupported_config',
    `${configPath}: "sample_size" is ${size}, and tiles of that size do not join, so --vae-tiling cannot be used; ` +
      `the nearest size that works is ${nearest}.`,
  );
}

/** A TAESD. */
export const isTiny = ({ className }: Vae['networkClass']): boolean => className === AUTOENCODER_TINY.className;
