/** How many images share a pass on a GPU, by what is free there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mostImages } from '../../../src/engine/child/batch-size.ts';
import type { PlannedRun } from '../../../src/pipelines/family.ts';
import { openKnown } from '../../checkpoint/open-known.ts';

const checkpoint = await openKnown(fileURLToPath(new URL('../../golden/base', import.meta.url)));

/** Room for so many rows of the UNet. */
const room = (rows: number) => (runs: readonly PlannedRun[]) => {
  const unet = runs.find(({ component }) => component === 'unet');
  assert.ok((unet?.sizes.height ?? 0) > 0, 'at the model’s own size');
  assert.ok(
    runs.some(({ component }) => component === 'vae'),
    'and decoding',
  );
  return (unet?.sizes.batch ?? 0) > rows ? { needBytes: 2, freeBytes: 1 } : undefined;
};

test('as many as fit with two rows each, at most eight, and one where even two do not fit', () => {
  for (const [rows, images] of [
    [100, 8],
    [16, 8],
    [15, 4],
    [4, 2],
    [2, 1],
    [0, 1],
  ] as const)
    assert.equal(mostImages(checkpoint, room(rows)), images, `${rows} rows`);
});

test('four where nobody knows what is free', () => {
  assert.equal(mostImages(checkpoint, undefined), 4);
});
