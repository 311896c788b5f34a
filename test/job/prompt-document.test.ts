/** The prompt document's codec. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { parsePromptDocument } from '../../src/job/prompt-document.ts';
import { seedOfRun } from '../../src/job/resolve-request.ts';

test('every field of the wire becomes its place in the request, a short scheduler name its class', () => {
  const document = {
    text: 'a fox',
    negative_prompt: 'blurry',
    seed: 7,
    num_inference_steps: 30,
    guidance_scale: 0,
    width: 512,
    height: 768,
    num_images: 2,
    scheduler: 'euler_a',
    priority: -3,
    mine: { kept: true },
  };
  assert.deepEqual(parsePromptDocument(document, DEFAULT_LIMITS), {
    request: {
      prompt: 'a fox',
      negativePrompt: 'blurry',
      seed: 7,
      numInferenceSteps: 30,
      guidanceScale: 0,
      widthPx: 512,
      heightPx: 768,
      numImages: 2,
      scheduler: 'EulerAncestralDiscreteScheduler',
    },
    priority: -3,
    callbackUrl: undefined,
  });
});

test('an empty prompt is legal, and null counts as absent, as does the seed −1', () => {
  assert.deepEqual(parsePromptDocument({ text: '', seed: -1, width: null }, DEFAULT_LIMITS), {
    request: { prompt: '' },
    priority: 0,
    callbackUrl: undefined,
  });
});

const bad = [
  [{}, 'invalid_prompt', /^"text" is missing; /],
  [
    { text: '', height: '512' },
    'invalid_parameter',
    /^"height" is text \("512"\); a number is needed: allowed are multiples of 8/,
  ],
  [{ text: '', guidance_scale: '7,5' }, 'invalid_parameter', /^"guidance_scale" is text \("7,5"\); a number is needed/],
  [{ text: ['a'] }, 'invalid_prompt', /\["a"\]/],
  [{ text: 'ä'.repeat(500_000) }, 'prompt_too_large', /1000000 bytes.*at most 65536/],
  [{ text: '', negative_prompt: 'x'.repeat(70_000) }, 'prompt_too_large', /"negative_prompt" has 70000 bytes/],
  [{ text: '', width: 100 }, 'invalid_parameter', /"width" is 100; allowed are multiples of 8/],
  [{ text: '', height: -8 }, 'invalid_parameter', /"height" is -8/],
  [{ text: '', width: 4096, height: 4096 }, 'invalid_parameter', /16777216 pixels; allowed are at most 4194304/],
  [{ text: '', num_inference_steps: 0 }, 'invalid_parameter', /"num_inference_steps" is 0.*from 1 to 1000/],
  [{ text: '', guidance_scale: Number.NaN }, 'invalid_parameter', /"guidance_scale" is NaN/],
  [{ text: '', callback_url: `https://example.com/${'x'.repeat(2048)}` }, 'invalid_parameter', /2068 characters.*2048/],
  [{ text: '', seed: -2 }, 'invalid_parameter', /"seed" is -2.*9007199254740991, or -1 for random/],
  [{ text: '', seed: 0.5 }, 'invalid_parameter', /"seed" is 0\.5/],
  [{ text: '', seed: 2 ** 53 }, 'invalid_parameter', /"seed" is 9007199254740992/],
  [{ text: '', num_images: 17 }, 'invalid_parameter', /"num_images" is 17.*from 1 to 16/],
  [{ text: '', scheduler: 'magic' }, 'unknown_scheduler', /"magic".*euler_a/],
  [{ text: '', scheduler: '__proto__' }, 'unknown_scheduler', /"__proto__"/],
  [{ text: '', priority: 'high' }, 'invalid_parameter', /"priority" is text \("high"\); a number is needed/],
] as const;

for (const [document, code, says] of bad) {
  test(`${JSON.stringify(document).slice(0, 60)} is refused with ${code}`, () => {
    assert.throws(() => parsePromptDocument(document, DEFAULT_LIMITS), { code, message: says });
  });
}

test('whatever a document holds, it is read or refused with a short sentence', () => {
  const names = [
    'text',
    'seed',
    'width',
    'height',
    'num_images',
    'scheduler',
    'guidance_scale',
    'priority',
    'negative_prompt',
    'toString',
  ];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), fc.anything({ withBigInt: true })), (document) => {
      try {
        parsePromptDocument(document, DEFAULT_LIMITS);
      } catch (error) {
        assert.ok(
          error instanceof Text2ImgError && error.fault === 'request' && error.message.length < 500,
          String(error),
        );
      }
    }),
  );
});

test('the seed of a run is the same for every attempt, differs between runs, and fits into 32 bits', () => {
  assert.equal(seedOfRun('a'), seedOfRun('a'));
  assert.notEqual(seedOfRun('a'), seedOfRun('b'));
  // printf a | sha256sum | cut -c1-8, as a number
  assert.equal(seedOfRun('a'), 0xca978112);
});

test('what would not fit into its document when it is done is refused before it is drawn', () => {
  const limits = { ...DEFAULT_LIMITS, maxPromptBytes: 1e8, maxImages: 10_000 };
  const refused = [
    { text: 'x'.repeat(7e6) },
    { text: '', negative_prompt: 'x'.repeat(7e6) },
    { text: 'x', num_images: 4000 },
  ];
  for (const document of refused)
    assert.throws(
      () => parsePromptDocument(document, limits),
      (error) => (error as Text2ImgError).code === 'prompt_too_large',
    );
  parsePromptDocument({ text: 'x'.repeat(1.5e6), num_images: 12 }, limits);
});
