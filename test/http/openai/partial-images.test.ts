/** Which previews a stream shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PartialImages } from '../../../src/http/openai/partial-images.ts';

/** The steps whose previews are shown, with their indexes in the stream. */
function shown(count: number, steps: number, previews: readonly number[]): readonly (readonly [number, number])[] {
  const partials = new PartialImages(count);
  return previews.flatMap((step) => {
    const index = partials.take({ step, steps });
    return index === undefined ? [] : [[step, index] as const];
  });
}

const everyStep = Array.from({ length: 20 }, (_, index) => index + 1);

test('n previews stand at even places of the steps', () => {
  assert.deepEqual(shown(0, 20, everyStep), []);
  assert.deepEqual(shown(1, 20, everyStep), [[10, 0]]);
  assert.deepEqual(shown(3, 20, everyStep), [
    [5, 0],
    [10, 1],
    [15, 2],
  ]);
  assert.deepEqual(shown(2, 20, everyStep), [
    [7, 0],
    [14, 1],
  ]);
});

test('a preview that passes several places is shown once, and the indexes have no gap', () => {
  assert.deepEqual(shown(3, 20, [1, 16, 17]), [[16, 0]]);
  assert.deepEqual(shown(3, 20, [6, 16]), [
    [6, 0],
    [16, 1],
  ]);
});

test('never more than n, and none of the last step, which is the image itself', () => {
  assert.deepEqual(shown(3, 1, [1]), []);
  assert.deepEqual(shown(3, 2, [1, 2]), [[1, 0]]);
  assert.deepEqual(shown(3, 0, [0, 1]), []);
});
