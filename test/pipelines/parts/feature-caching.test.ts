/** Feature caching: which passes are whole, what is refused and warned of, and batches. Its pixels are golden cases (`test/golden/deep-cache-…`). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPTIONS } from '../../../src/config/options.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import { cachingWarnings, isWholePass } from '../../../src/pipelines/parts/feature-caching.ts';
import { SHORT_SCHEDULER_NAMES } from '../../../src/schedulers/scheduler-names.ts';
import { copyOfBase } from '../../checkpoint/checkpoint-copies.ts';
import { drawDocuments } from '../draw-jobs.ts';

const passesAt = (...timesteps: number[]) => timesteps.map((timestep) => ({ timestep, sigma: 1 }));

function wholePasses(interval: number, ...timesteps: number[]): number[] {
  const passes = passesAt(...timesteps);
  return passes.flatMap((_, pass) => (isWholePass(passes, pass, { interval, branch: 0 }) ? [pass] : []));
}

test('every n-th pass is whole, beginning with the first', () => {
  assert.deepEqual(wholePasses(2, 9, 8, 7, 6, 5), [0, 2, 4]);
  assert.deepEqual(wholePasses(3, 9, 8, 7, 6, 5), [0, 3]);
});

test('passes of one timestep count as the first of them, as in the DeepCache package', () => {
  // PNDM repeats its second timestep, Heun each but the first.
  assert.deepEqual(wholePasses(2, 9, 8, 8, 7, 6), [0, 4]);
  assert.deepEqual(wholePasses(3, 9, 8, 8, 7, 7, 6, 6), [0, 3, 4]);
  assert.deepEqual(wholePasses(2, 9, 8, 8, 7, 7, 6, 6), [0]);
});

test('a feature that is never renewed is warned of, and so is a branch without an interval', () => {
  const heun = passesAt(9, 8, 8, 7, 7, 6, 6);
  const ask = (deepCache: number | null, deepCacheBranch: number | null = null) =>
    cachingWarnings({ deepCache, deepCacheBranch }, heun);
  assert.match(ask(2).join(), /^With this scheduler and "deep_cache" 2 only the first of 7 passes .* odd number\.$/);
  assert.deepEqual([ask(3), ask(null), ask(0), ask(2, 1).length], [[], [], [], 1]);
  for (const interval of [null, 0])
    assert.deepEqual(ask(interval, 1), ['"deep_cache_branch" has no effect unless "deep_cache" is 2 or more.']);
});

test('an interval of 1 is refused with the values that are allowed, in a document and as an option', () => {
  const allowed = 'whole numbers from 2 to 1000, or 0 for off';
  for (const deep_cache of [1, -1, 2.5, 1001])
    assert.throws(() => parsePromptDocument({ text: '', deep_cache }, DEFAULT_LIMITS), {
      code: 'invalid_parameter',
      message: `"deep_cache" is ${deep_cache}; allowed are ${allowed}.`,
    });
  const { type, allowed: asked, requestFault } = OPTIONS.deepCache;
  assert.deepEqual([type.parseText('1'), type.parseText('0'), type.parseText('3')], [undefined, 0, 3]);
  assert.equal(asked, 'a whole number, at least 2, or 0 for off');
  // The exit code is 2 also for `generate`, because it is no fault of the request.
  assert.equal(requestFault, undefined);
});

const SMALL = { num_inference_steps: 5, width: 48, height: 40, scheduler: 'EulerAncestralDiscreteScheduler' };
/** The edm_ schedulers are for models that were trained with their noise alone. */
const SCHEDULERS = SHORT_SCHEDULER_NAMES.filter((name) => !name.startsWith('edm_'));

test('every scheduler generates with feature caching, and each image is another one than without', async (t) => {
  assert.ok(SCHEDULERS.length > 20);
  const documents = SCHEDULERS.map((scheduler) => ({ text: 'a fox', seed: 1, ...SMALL, scheduler }));
  const cached = documents.map((document) => ({ ...document, deep_cache: 3 }));
  const drawn = await drawDocuments(copyOfBase(t), [...documents, ...cached]);
  for (const [index, scheduler] of SCHEDULERS.entries()) {
    const [whole, shallow] = [drawn[index], drawn[SCHEDULERS.length + index]];
    assert.deepEqual([whole?.error, shallow?.error], [undefined, undefined], scheduler);
    assert.equal(shallow?.pixels.length, 1, scheduler);
    assert.notDeepEqual(shallow?.pixels, whole?.pixels, scheduler);
  }
});

test('a branch that the UNet has not is refused with the largest one, and other jobs are generated', async (t) => {
  const [bad, good] = await drawDocuments(copyOfBase(t), [
    { text: 'a fox', seed: 1, ...SMALL, deep_cache: 2, deep_cache_branch: 9 },
    { text: 'a fox', seed: 1, ...SMALL, deep_cache: 2, deep_cache_branch: 8 },
  ]);
  assert.equal(bad?.error?.code, 'invalid_parameter');
  assert.equal(bad?.error?.message, '"deep_cache_branch" is 9; allowed are whole numbers from 0 to 8.');
  assert.deepEqual([good?.error, good?.pixels.length], [undefined, 1]);
});

for (const base of [undefined, 'base-xl'] as const)
  test(`images with and without feature caching are bit for bit those of each alone (${base ?? 'Stable Diffusion 1.x'})`, async (t) => {
    const folder = copyOfBase(t, base);
    const documents = [
      { text: 'a fox', seed: 1, ...SMALL, deep_cache: 2 },
      { text: 'a house', seed: 2, ...SMALL, deep_cache: 2, guidance_stop: 0.3 },
      { text: 'a lake', seed: 3, ...SMALL, deep_cache: 2, num_images: 2 },
      { text: 'a lake', seed: 3, ...SMALL, num_images: 2 },
      { text: 'a lake', seed: 3, ...SMALL, deep_cache: 0 },
      { text: 'a lake', seed: 3, ...SMALL, deep_cache: 3 },
      { text: 'a lake', seed: 3, ...SMALL, deep_cache: 3, deep_cache_branch: 4 },
      { text: 'a lake', seed: 3, ...SMALL, deep_cache: 2, deep_cache_branch: 4 },
    ];
    const passes: number[] = [];
    const onPass = (images: number): void => void passes.push(images);
    const together = await drawDocuments(folder, documents, { maxBatchImages: 8, onPass });
    // Four images of one interval, two whole ones, then one at a time.
    assert.deepEqual(
      [...new Set(passes)].map((images) => [images, passes.filter((count) => count === images).length]),
      [
        [4, 5],
        [2, 5],
        [1, 20],
      ],
    );
    const alone = await drawDocuments(folder, documents);
    assert.deepEqual(together, alone);
    const first = (index: number): string => Buffer.from(alone[index]?.pixels[0] ?? []).toString('base64');
    assert.equal(first(4), first(3), 'deep_cache 0 is the whole network');
    assert.equal(new Set([2, 3, 5, 6, 7].map(first)).size, 5, 'each interval and branch has its own pixels');
  });
