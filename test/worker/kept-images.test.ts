/** Images that wait for their store: given out once, only for what was drawn, within a budget. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { KeptImages } from '../../src/worker/kept-images.ts';
import { aRequest } from '../job/a-request.ts';

const REQUEST: ResolvedGenerationRequest = aRequest({
  prompt: 'x',
  negativePrompt: '',
  seed: 1,
  numInferenceSteps: 3,
  guidanceScale: 7.5,
  widthPx: 16,
  heightPx: 8,
  numImages: 1,
  scheduler: 'DDIMScheduler',
});

function drawn(sizeBytes: number): Parameters<KeptImages['keep']>[2] {
  return { images: [{ imageIndex: 0, seed: 1, png: new Uint8Array(sizeBytes) }], warnings: ['cut'] };
}

test('they are given out once, and not for a prompt that was edited meanwhile', () => {
  const kept = new KeptImages(100);
  kept.keep('run', REQUEST, drawn(10));
  assert.equal(kept.largestBytes, 10);
  assert.equal(kept.take('other', REQUEST), undefined);
  assert.equal(kept.take('run', REQUEST)?.images[0]?.png.byteLength, 10);
  assert.equal(kept.take('run', REQUEST), undefined);
  kept.keep('run', REQUEST, drawn(10));
  assert.equal(kept.take('run', { ...REQUEST, prompt: 'another' }), undefined);
  assert.equal(kept.largestBytes, 0);
});

test('the oldest make room, what is kept again counts once, and what is larger than the budget is not kept', () => {
  const kept = new KeptImages(100);
  for (const run of ['a', 'b', 'b', 'c']) kept.keep(run, REQUEST, drawn(40));
  assert.equal(kept.take('a', REQUEST), undefined);
  assert.ok(kept.take('b', REQUEST) !== undefined && kept.take('c', REQUEST) !== undefined);
  assert.equal(kept.keep('d', REQUEST, drawn(101)), false);
  assert.equal(kept.take('d', REQUEST), undefined);
});
