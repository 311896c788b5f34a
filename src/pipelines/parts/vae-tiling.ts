/**
 * Decodes a large image in overlapping tiles, so that memory does not grow with its size.
 * Source: diffusers models/autoencoders/autoencoder_kl.py, tiled_decode, blend_v, blend_h.
 */
import type { VaeDecoder } from './networks.ts';

const OVERLAP = 0.25;
const CHANNELS = 3;

interface Tile {
  /** [1, 3, height, width] */
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
}

interface TilePlan {
  /** Height and width of a tile. */
  readonly tileLatents: number;
  /** From one tile to the next. */
  readonly strideLatents: number;
  readonly blendPx: number;
  /** The part of a tile that is kept; the next tile covers the rest. */
  readonly keepPx: number;
}

function planTiles(sampleSizePx: number, scaleFactor: number): TilePlan {
  const tileLatents = Math.floor(sampleSizePx / scaleFactor);
  const blendPx = Math.floor(sampleSizePx * OVERLAP);
  return {
    tileLatents,
    strideLatents: Math.floor(tileLatents * (1 - OVERLAP)),
    blendPx,
    keepPx: sampleSizePx - blendPx,
  };
}

/** Whether tiles of this size join: what is kept of a tile reaches exactly to the next one. */
function tilesJoin(sampleSizePx: number, scaleFactor: number): boolean {
  const { strideLatents, keepPx } = planTiles(sampleSizePx, scaleFactor);
  return strideLatents > 0 && strideLatents * scaleFactor === keepPx;
}

/** The size nearest to `sampleSizePx` whose tiles join: itself where they do. */
export function nearestTileSize(sampleSizePx: number, scaleFactor: number): number {
  // Every multiple of four latents does, so that the search ends.
  for (let distance = 0; ; distance++) {
    for (const size of [sampleSizePx + distance, sampleSizePx - distance])
      if (tilesJoin(size, scaleFactor)) return size;
  }
}

/**
 * `decoder` for images up to `sampleSizePx`, tile by tile above.
 * @param sampleSizePx the autoencoder's `sample_size`, one that `nearestTileSize` allows
 */
export function tiledVaeDecoder(decoder: VaeDecoder, sampleSizePx: number): VaeDecoder {
  const { tileLatents, strideLatents, blendPx, keepPx } = planTiles(sampleSizePx, decoder.scaleFactor);
  return {
    ...decoder,
    async decode(latents, shape, signal) {
      const [, height, width] = shape;
      if (height <= tileLatents && width <= tileLatents) return decoder.decode(latents, shape, signal);
      const rows: Tile[][] = [];
      for (let top = 0; top < height; top += strideLatents) {
        const row: Tile[] = [];
        for (let left = 0; left < width; left += strideLatents) {
          const tile = cutLatents(latents, shape, { top, left, size: tileLatents });
          const data = await decoder.decode(tile.data, [shape[0], tile.height, tile.width], signal);
          row.push({ data, height: tile.height * decoder.scaleFactor, width: tile.width * decoder.scaleFactor });
        }
        rows.push(row);
      }
      blendTiles(rows, blendPx);
      return joinTiles(rows, keepPx);
    },
  };
}

interface Window {
  readonly top: number;
  readonly left: number;
  readonly size: number;
}

function cutLatents(
  latents: Float32Array,
  [channels, height, width]: readonly [number, number, number],
  { top, left, size }: Window,
): Tile {
  const [rows, columns] = [Math.min(size, height - top), Math.min(size, width - left)];
  const data = new Float32Array(channels * rows * columns);
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const start = (channel * height + top + row) * width + left;
      data.set(latents.subarray(start, start + columns), (channel * rows + row) * columns);
    }
  }
  return { data, height: rows, width: columns };
}

/** In place and in reading order: a tile is blended with neighbours that are blended already, as in the reference. */
function blendTiles(rows: readonly (readonly Tile[])[], blendPx: number): void {
  for (const [i, row] of rows.entries()) {
    for (const [j, tile] of row.entries()) {
      const above = rows[i - 1]?.[j];
      const left = row[j - 1];
      if (above !== undefined) blendVertically(above, tile, blendPx);
      if (left !== undefined) blendHorizontally(left, tile, blendPx);
    }
  }
}

function mix(from: number, to: number, share: number): number {
  return Math.fround(from * Math.fround(1 - share)) + Math.fround(to * Math.fround(share));
}

function blendVertically(above: Tile, tile: Tile, blendPx: number): void {
  const extent = Math.min(above.height, tile.height, blendPx);
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let y = 0; y < extent; y++) {
      const from = (channel * above.height + above.height - extent + y) * above.width;
      const to = (channel * tile.height + y) * tile.width;
      for (let x = 0; x < tile.width; x++)
        tile.data[to + x] = mix(above.data[from + x] as number, tile.data[to + x] as number, y / extent);
    }
  }
}

function blendHorizontally(left: Tile, tile: Tile, blendPx: number): void {
  const extent = Math.min(left.width, tile.width, blendPx);
  for (let line = 0; line < CHANNELS * tile.height; line++) {
    for (let x = 0; x < extent; x++) {
      const from = line * left.width + left.width - extent + x;
      const to = line * tile.width + x;
      tile.data[to] = mix(left.data[from] as number, tile.data[to] as number, x / extent);
    }
  }
}

/** Of each tile its first `keepPx` rows and columns. @returns [1, 3, H, W] */
function joinTiles(rows: readonly (readonly Tile[])[], keepPx: number): Float32Array {
  const heights = rows.map((row) => Math.min(keepPx, row[0]?.height ?? 0));
  const widths = (rows[0] ?? []).map((tile) => Math.min(keepPx, tile.width));
  const [height, width] = [sum(heights), sum(widths)];
  const picture = new Float32Array(CHANNELS * height * width);
  let top = 0;
  for (const [i, row] of rows.entries()) {
    let left = 0;
    for (const [j, tile] of row.entries()) {
      for (let channel = 0; channel < CHANNELS; channel++) {
        for (let y = 0; y < (heights[i] as number); y++) {
          const start = (channel * tile.height + y) * tile.width;
          picture.set(
            tile.data.subarray(start, start + (widths[j] as number)),
            (channel * height + top + y) * width + left,
          );
        }
      }
      left += widths[j] as number;
    }
    top += heights[i] as number;
  }
  return picture;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
