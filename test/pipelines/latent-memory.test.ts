/** Images that do not fit into memory: refused with the size that would fit, or decoded in tiles. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { PlannedRun, Shortage } from '../../src/pipelines/family.ts';
import { LatentMemory } from '../../src/pipelines/parts/latent-memory.ts';

/** A pass needs 1000 bytes for each latent of each row, decoding 64 times as much for each latent. */
function memoryWith(freeKb: number, tilesPx: readonly (number | undefined)[] = [undefined, 512, 256]): LatentMemory {
  const freeBytes = 1000 * freeKb;
  const shortage = (runs: readonly PlannedRun[]): Shortage | undefined =>
    runs
      .map(({ component, keptBytes = 0, sizes: { batch = 1, height = 1, width = 1 } }) => ({
        needBytes: batch * height * width * (component === 'vae' ? 64_000 : 1000) + keptBytes,
        freeBytes,
      }))
      .find(({ needBytes }) => needBytes > freeBytes);
  return new LatentMemory({ shortage, precision: {}, featureBytes: () => 64_000_000, scaleFactor: 8, tilesPx });
}

const image = (widthPx: number, heightPx = widthPx) => ({ widthPx, heightPx });

function refusal(action: () => void): Text2ImgError {
  try {
    action();
  } catch (error) {
    if (error instanceof Text2ImgError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('the features that feature caching keeps count, and an image without it needs none', () => {
  // A pass of 64 × 64 latents needs 4.1 MB, decoding in tiles 65.5 MB, and the features 64 MB.
  const tiled = [256];
  memoryWith(66_000, tiled).requireRoom(image(512), { rows: 1 });
  const error = refusal(() => memoryWith(66_000, tiled).requireRoom(image(512), { rows: 1, branch: 0 }));
  assert.match(error.message, /^an image of 512×512 pixels needs up to 69 MB, and 66 MB are free/);
  memoryWith(68_096, tiled).requireRoom(image(512), { rows: 1, branch: 0 });
});

test('an image that fits passes, also where only its tiles fit', () => {
  memoryWith(64 * 128 * 128).requireRoom(image(1024), { rows: 2 });
  memoryWith(64 * 32 * 32).requireRoom(image(1024), { rows: 2 });
});

test('an image that does not fit is refused with both numbers and the largest size of its shape that fits', () => {
  const error = refusal(() => memoryWith(2 * 300 * 200).requireRoom(image(4800, 3200), { rows: 2 }));
  assert.equal(error.code, 'out_of_memory');
  assert.equal(error.consequence, 'fail');
  assert.equal(
    error.message,
    'an image of 4800×3200 pixels needs up to 0.5 GB, and 0.1 GB are free; 2400×1600 would fit.',
  );
  // Without guidance half of it is enough.
  assert.match(
    refusal(() => memoryWith(120_000).requireRoom(image(4800, 3200), { rows: 1 })).message,
    /; 3392×2256 would fit\.$/,
  );
  memoryWith(120_000).requireRoom(image(3392, 2256), { rows: 1 });
  refusal(() => memoryWith(120_000).requireRoom(image(3400, 2264), { rows: 1 }));
});

test('where no size fits, the sentence names none', () => {
  assert.match(
    refusal(() => memoryWith(10).requireRoom(image(512), { rows: 2 })).message,
    /no smaller image would fit either\.$/,
  );
});

test('a batch of images that fit alone is to be generated in smaller passes', () => {
  const memory = memoryWith(64 * 64 * 64);
  memory.requireBatch(image(512), { rows: 4 });
  const error = refusal(() => memory.requireBatch(image(512), { rows: 128 }));
  assert.deepEqual([error.code, error.consequence], ['engine_out_of_memory', 'retry-alone']);
});

test('decoding takes the first tiles that fit', () => {
  const tilesAt = (freeKb: number, sidePx = 1024) => {
    const { tilePx, shortage } = memoryWith(freeKb).tiles([sidePx / 8, sidePx / 8]);
    return [tilePx, shortage && shortage.needBytes / 1000];
  };
  const whole = 64 * 128 * 128;
  assert.deepEqual(tilesAt(whole), [undefined, undefined]);
  assert.deepEqual(tilesAt(whole - 1), [512, whole]);
  assert.deepEqual(tilesAt(64 * 32 * 32), [256, whole]);
  assert.deepEqual(tilesAt(1), [256, whole]);
  // A tile that covers the image is no help.
  assert.deepEqual(tilesAt(1, 256), [undefined, undefined]);
});

test('an autoencoder whose tiles do not join decodes whole or not at all', () => {
  const memory = memoryWith(64 * 32 * 32, [undefined]);
  assert.deepEqual(memory.tiles([64, 64]), { tilePx: undefined });
  assert.match(refusal(() => memory.requireRoom(image(512), { rows: 1 })).message, /; 256×256 would fit\.$/);
});
