/** The `parameters` text: the usual layout, and every prompt read back exactly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatGenerationParameters,
  type GenerationParameters,
  parseGenerationParameters,
} from '../../src/image/generation-parameters.ts';
import { VERSION } from '../../src/version.ts';

const base: GenerationParameters = {
  prompt: 'a red circle',
  negativePrompt: '',
  numInferenceSteps: 20,
  scheduler: 'ddim',
  guidanceScale: 4,
  seed: 0,
  widthPx: 256,
  heightPx: 320,
  modelName: 'demo',
  modelHash: 'abcdef0123',
};

test('the layout is the one the usual tools read', () => {
  assert.equal(
    formatGenerationParameters({ ...base, negativePrompt: 'blurry' }),
    `a red circle\nNegative prompt: blurry\nSteps: 20, Sampler: DDIM, CFG scale: 4, Seed: 0, Size: 256x320, Model hash: abcdef0123, Model: demo, Scheduler: ddim, Version: text2img ${VERSION}`,
  );
});

test('without a negative prompt and a hash their places are left out', () => {
  const text = formatGenerationParameters({ ...base, modelHash: null });
  assert.doesNotMatch(text, /Negative prompt|Model hash/);
  assert.deepEqual(
    parseGenerationParameters(text),
    withoutUndefined({ ...base, negativePrompt: undefined, modelHash: undefined }),
  );
});

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      '\n',
      '\r',
      '\0',
      '\ud800',
      '"',
      '\\',
      ',',
      ':',
      ' ',
      'Negative prompt: ',
      'Negative prompt:',
      'Steps: 20, Sampler: Euler, Seed: 1',
      'Prompts: "[]"',
      'ü',
      '🦊',
    ),
  }),
);

test('any prompt and any numbers are read back exactly', () => {
  const given = fc.record({
    prompt: nasty,
    negativePrompt: nasty,
    modelName: fc.string({ unit: 'binary', minLength: 1 }),
    guidanceScale: fc.double({ noNaN: true, noDefaultInfinity: true }),
    seed: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  });
  fc.assert(
    fc.property(given, (fields) => {
      const parameters = { ...base, ...fields };
      const text = formatGenerationParameters(parameters);
      assert.ok(text.isWellFormed() && !text.includes('\0'), 'fits into a text chunk');
      assert.deepEqual({ negativePrompt: '', ...parseGenerationParameters(text) }, parameters);
    }),
    { numRuns: 2000 },
  );
});

test('a text of the web UI is read, with its own sampler names', () => {
  // The layout of https://github.com/AUTOMATIC1111/stable-diffusion-webui, modules/infotext_utils.py.
  const text =
    'masterpiece, a fox\nin the snow\nNegative prompt: lowres,\nbad hands\nSteps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 12345, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Lora hashes: "a: 1, b: 2", Version: v1.9.3';
  assert.deepEqual(parseGenerationParameters(text), {
    prompt: 'masterpiece, a fox\nin the snow',
    negativePrompt: 'lowres,\nbad hands',
    numInferenceSteps: 28,
    scheduler: 'dpmpp_2m_karras',
    guidanceScale: 6.5,
    seed: 12345,
    widthPx: 512,
    heightPx: 768,
    modelName: 'v1-5-pruned-emaonly',
    modelHash: '6ce0161689',
  });
});

test('a text without a line of values is a prompt', () => {
  assert.deepEqual(parseGenerationParameters('only: words, here'), { prompt: 'only: words, here' });
});

for (const [bad, value] of [
  ['Steps: many, Sampler: DDIM, Seed: 1', 'many'],
  ['Steps: 20, Seed: 1, Size: 512', '512'],
  ['Steps: 20, Seed: 1, Prompts: "[1]"', '[1]'],
] as const) {
  test(`a value that makes no sense is refused and quoted: ${bad}`, () => {
    assert.throws(
      () => parseGenerationParameters(`p\n${bad}`),
      (error: Error & { code?: string }) => error.code === 'unreadable_file' && error.message.includes(value),
    );
  });
}

function withoutUndefined(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
