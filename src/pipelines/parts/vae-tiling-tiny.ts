/**
 * Decodes a large image in overlapping tiles as AutoencoderTiny does: each tile fades in over what lies there already.
 * Source: diffusers models/autoencoders/autoencoder_tiny.py, AutoencoderTiny._tiled_decode.
 */
import type { VaeDecoder } from './networks.ts';

const OVERLAP = 0.125;
const CHANNELS = 3;

/** @param tilePx a multiple of eight times the decoder's scale factor */
export function tiledTinyVaeDecoder(decoder: VaeDecoder, tilePx: number): VaeDecoder {
  const { scaleFactor } = decoder;
  const tileLatents = tilePx / scaleFactor;
  const blendLatents = Math.floor(tileLatents * OVERLAP);
  const fade = fadeIn(tilePx, blendLatents * scaleFactor);
  return {
    ...decoder,
    async decode(latents, shape, signal) {
      const [channels, height, width] = shape;
      const image: Plane = {
        data: new Float32Array(CHANNELS * height * width * scaleFactor ** 2),
        height: height * scaleFactor,
        width: width * scaleFactor,
      };
      const stride = tileLatents - blendLatents;
      for (let top = 0; top < height; top += stride)
        for (let left = 0; left < width; left += stride) {
          const rows = Math.min(tileLatents, height - top);
          const columns = Math.min(tileLatents, width - left);
          const part = cut({ data: latents, height, width }, { channels, top, left, rows, columns });
          const data = await decoder.decode(part, [channels, rows, columns], signal);
          const tile = { data, height: rows * scaleFactor, width: columns * scaleFactor };
          blendInto(image, tile, { top: top * scaleFactor, left: left * scaleFactor, fade });
        }
      return image.data;
    },
  };
}

/** Channels of rows of numbers. */
interface Plane {
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
}

interface Window {
  readonly channels: number;
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
}

interface Place {
  readonly top: number;
  readonly left: number;
  readonly fade: Float32Array;
}

/** The tile's share at each of its rows or columns: from 0 to 1 over the overlap. */
function fadeIn(tilePx: number, blendPx: number): Float32Array {
  return Float32Array.from({ length: tilePx }, (_, index) => Math.min(1, index / (blendPx - 1)));
}

function cut({ data, height, width }: Plane, { channels, top, left, rows, columns }: Window): Float32Array {
  const part = new Float32Array(channels * rows * columns);
  for (let line = 0; line < channels * rows; line++) {
    const start = (Math.floor(line / rows) * height + top + (line % rows)) * width + left;
    part.set(data.subarray(start, start + columns), line * columns);
  }
  return part;
}

/** In place. Tiles at the image's upper and left edge do not fade in there. */
function blendInto(image: Plane, tile: Plane, { top, left, fade }: Place): void {
  for (let line = 0; line < CHANNELS * tile.height; line++) {
    const y = line % tile.height;
    const start = (Math.floor(line / tile.height) * image.height + top + y) * image.width + left;
    const rowShare = top === 0 ? 1 : (fade[y] as number);
    for (let x = 0; x < tile.width; x++) {
      const share = Math.fround(rowShare * (left === 0 ? 1 : (fade[x] as number)));
      const own = Math.fround(share * (tile.data[line * tile.width + x] as number));
      image.data[start + x] = own + Math.fround(Math.fround(1 - share) * (image.data[start + x] as number));
    }
  }
}
