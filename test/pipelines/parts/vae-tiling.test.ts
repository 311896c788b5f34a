/** Tiles of a picture join without a seam, or their size is refused with the nearest that works. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VaeDecoder } from '../../../src/pipelines/parts/networks.ts';
import { nearestTileSize, tiledVaeDecoder } from '../../../src/pipelines/parts/vae-tiling.ts';

/** Each latent becomes a square of its own value, so that a tile's pixels do not depend on where it was cut. */
function enlarging(scaleFactor: number): VaeDecoder {
  return {
    scaleFactor,
    scalingFactor: 1,
    decode: (latents, [channels, height, width]) => {
      assert.equal(channels, 3);
      const [rows, columns] = [height * scaleFactor, width * scaleFactor];
      const pixels = Float32Array.from({ length: 3 * rows * columns }, (_, index) => {
        const [channel, rest] = [Math.floor(index / (rows * columns)), index % (rows * columns)];
        const [y, x] = [Math.floor(rest / columns / scaleFactor), Math.floor((rest % columns) / scaleFactor)];
        return latents[(channel * height + y) * width + x] as number;
      });
      return Promise.resolve(pixels);
    },
  };
}

test('every size that is allowed gives the untiled picture, whatever the enlargement', async () => {
  let tried = 0;
  for (const scaleFactor of [1, 2, 4, 8]) {
    for (let size = 1; size <= 80; size++) {
      if (nearestTileSize(size, scaleFactor) !== size) continue;
      const decoder = enlarging(scaleFactor);
      const tile = Math.floor(size / scaleFactor);
      const shape = [3, tile * 2 + 1, tile + 2] as const;
      const latents = Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, (_, index) => (index * 7) % 31);
      const [plain, tiled] = [
        await decoder.decode(latents, shape),
        await tiledVaeDecoder(decoder, size).decode(latents, shape),
      ];
      assert.equal(tiled.length, plain.length, `size ${size}, enlarged ${scaleFactor} times`);
      const largest = tiled.reduce(
        (most, value, index) => Math.max(most, Math.abs(value - (plain[index] as number))),
        0,
      );
      assert.ok(largest < 1e-4, `size ${size}, enlarged ${scaleFactor} times: ${largest}`);
      tried++;
    }
  }
  assert.ok(tried > 20, `${tried} sizes`);
});

// By hand: tiles of 4n latents move on by 3n; 6 latents would move on by 4, and 36 of their 48 pixels are kept.
for (const [size, scaleFactor, nearest] of [
  [512, 8, 512],
  [48, 8, 64],
  [500, 8, 512],
  [4, 8, 32],
  [1, 1, 4],
] as const) {
  test(`next to tiles of ${size} pixels with latents of ${scaleFactor} the nearest that join have ${nearest}`, () => {
    assert.equal(nearestTileSize(size, scaleFactor), nearest);
  });
}
