/** The fields of models with two text encoders and size conditions: pairs in both orders, an empty text that is not none, and `clip_skip` of web UIs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REQUEST_OPTIONS } from '../../src/config/options/request-options.ts';
import { imageParameters } from '../../src/image/image-parameters.ts';
import { formatGenerationParameters, isOwnText, parseGenerationParameters } from '../../src/image/parameters-text.ts';
import { cornerPair, sizePair } from '../../src/job/field-types.ts';
import { unreadFields } from '../../src/job/foreign-fields.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { parsePromptDocument, toDocument } from '../../src/job/prompt-document.ts';
import { REQUEST_FIELDS } from '../../src/job/request-fields.ts';
import { requestWarnings } from '../../src/job/request-warnings.ts';
import { resolveRequest } from '../../src/job/resolve-request.ts';
import { flagNamed, variableOf } from '../../src/config/options/option-spec.ts';
import { aRequest, MODEL_FACTS } from './a-request.ts';

const XL: ModelFacts = { ...MODEL_FACTS, defaults: { scheduler: 'EulerDiscreteScheduler' } };
const MADE = { seed: 1, widthPx: 64, heightPx: 64 };

function pngOf(stated: Parameters<typeof aRequest>[0], model = XL): string {
  return formatGenerationParameters(imageParameters(aRequest(stated), model, MADE));
}

test('a size is [height, width] in a document, WIDTHxHEIGHT as a flag and in a PNG', () => {
  const { request } = parsePromptDocument({ text: '', original_size: [768, 1024] }, DEFAULT_LIMITS);
  assert.deepEqual(request.originalSize, [768, 1024]);
  for (const text of ['1024x768', ' 1024 X 768 ', '1024×768'])
    assert.deepEqual(REQUEST_OPTIONS.originalSize.type.parseText(text), [768, 1024]);
  assert.match(pngOf({ originalSize: [768, 1024] }), /Original size: 1024x768,/);
  assert.deepEqual(parseGenerationParameters(pngOf({ originalSize: [768, 1024] })).originalSize, [768, 1024]);
});

test('a corner is [top, left] everywhere', () => {
  const { request } = parsePromptDocument({ text: '', crops_coords_top_left: [10, 20] }, DEFAULT_LIMITS);
  assert.deepEqual(request.cropsCoordsTopLeft, [10, 20]);
  assert.deepEqual(REQUEST_OPTIONS.crop.type.parseText('10,20'), [10, 20]);
  const png = pngOf({ negativeCropsCoordsTopLeft: [10, 20] });
  assert.deepEqual(parseGenerationParameters(png).negativeCropsCoordsTopLeft, [10, 20]);
});

for (const bad of [[1024], [1, 2, 3], [1.5, 2], [-1, 2], ['1', 2], [1, 2 ** 24 + 1], [1, null], '1024x768', 1024, {}])
  test(`${JSON.stringify(bad)} is no pair: refused by name, with the order`, () => {
    assert.throws(() => parsePromptDocument({ text: '', target_size: bad }, DEFAULT_LIMITS), {
      code: 'invalid_parameter',
      message: /^"target_size" is .*; allowed is \[height, width\], two whole numbers from 0 to 16777216\.$/,
    });
  });

for (const bad of ['', '1024', '1024x', '1024x768x3', '-1x2', '1e3x5', '1,2', '99999999999x1'])
  test(`${JSON.stringify(bad)} is no size as a flag`, () => assert.equal(sizePair.parseText(bad), undefined));

for (const bad of ['', '1', '1,', '1,2,3', '-1,2', '1x2'])
  test(`${JSON.stringify(bad)} is no corner as a flag`, () => assert.equal(cornerPair.parseText(bad), undefined));

test('a digit in a field’s name is a part of its own in flags and variables', () => {
  assert.equal(flagNamed('negativePrompt2'), '--negative-prompt-2');
  assert.equal(variableOf('prompt2', REQUEST_OPTIONS.prompt2), 'TEXT2IMG_PROMPT_2');
});

test('the second prompt belongs to one job, and stands in a PNG whatever its characters', () => {
  assert.equal(REQUEST_OPTIONS.prompt2.commands.includes('run'), false);
  assert.equal(REQUEST_OPTIONS.negativePrompt2.commands.includes('run'), true);
  const stated = { prompt2: 'a, b: "c"\nSteps: 3 ', negativePrompt2: '' };
  const { prompt2, negativePrompt2 } = parseGenerationParameters(pngOf(stated));
  assert.deepEqual({ prompt2, negativePrompt2 }, stated);
});

test('without a negative prompt a request has none, or the empty one of models that know no difference', () => {
  const options = { defaults: {}, limits: DEFAULT_LIMITS, seed: 1 };
  const resolve = (request: object, model = XL): string | null =>
    resolveRequest({ prompt: 'a', ...request }, { ...options, model }).negativePrompt;
  assert.deepEqual([resolve({}), resolve({ negativePrompt: '' })], [null, '']);
  assert.equal(resolve({}, MODEL_FACTS), '');
  const { request } = parsePromptDocument({ text: 'a', negative_prompt: null }, DEFAULT_LIMITS);
  assert.equal(resolve(request), null);
});

for (const prompt of ['a fox', 'a fox\nNegative prompt: x', ' Steps: 1, a: 2, b: 3'])
  for (const negativePrompt of [null, '', 'blurry'])
    test(`a PNG keeps the negative prompt ${JSON.stringify(negativePrompt)} beside ${JSON.stringify(prompt)}`, () => {
      const parsed = parseGenerationParameters(pngOf({ prompt, negativePrompt }));
      assert.equal(parsed.prompt, prompt);
      assert.equal(parsed.negativePrompt ?? null, negativePrompt);
    });

test('where none and an empty negative prompt are the same, a PNG has no line for it', () => {
  assert.doesNotMatch(pngOf({ negativePrompt: '' }, MODEL_FACTS), /Negative prompt/);
});

test('"Clip skip" of a PNG is one more than clip_skip', () => {
  assert.match(pngOf({ clipSkip: 1 }), /, Clip skip: 2, Scheduler:/);
  for (const clipSkip of [0, 1, 5]) assert.equal(parseGenerationParameters(pngOf({ clipSkip })).clipSkip, clipSkip);
  assert.doesNotMatch(pngOf({ clipSkip: null }), /Clip skip/);
});

test('of a web UI’s text "Clip skip: 2" leaves out one layer, "Clip skip: 1" says nothing', () => {
  const text = (value: string): string => `a\nSteps: 4, Seed: 1, Size: 64x64, Clip skip: ${value}, Version: v1.10.1`;
  assert.equal(parseGenerationParameters(text('2')).clipSkip, 1);
  assert.equal('clipSkip' in parseGenerationParameters(text('1')), false);
  assert.throws(() => parseGenerationParameters(text('two')), { code: 'unreadable_file', message: /Clip skip: "two"/ });
  assert.deepEqual([isOwnText(text('2')), isOwnText(pngOf({}))], [false, true]);
});

test('fields without a value are not written back, pairs are', () => {
  const written = toDocument(REQUEST_FIELDS, aRequest({ targetSize: [8, 16] }));
  assert.deepEqual(written['target_size'], [8, 16]);
  assert.equal('original_size' in written || 'clip_skip' in written || 'prompt_2' in written, false);
});

test('prompt syntax without effect is told of the second prompts too', () => {
  const [warning] = requestWarnings(aRequest({ prompt2: 'a (fox:1.2)', negativePrompt: null }), {
    model: XL,
    asked: new Set(),
  });
  assert.match(warning ?? '', /\(fox:1\.2\)/);
});

test('a numbered prompt of one’s own is no slip of prompt_2; prompt2 is the name that other tools have', () => {
  assert.deepEqual(unreadFields(['prompt_1', 'prompt_3', 'negative_prompt_1']), []);
  assert.deepEqual(
    unreadFields(['prompt2', 'crop_coords_top_left', 'cfg_rescale']).map(({ name, meant, kind }) => [
      name,
      meant,
      kind,
    ]),
    [
      ['prompt2', 'prompt_2', 'foreign'],
      ['crop_coords_top_left', 'crops_coords_top_left', 'slip'],
      ['cfg_rescale', 'guidance_rescale', 'foreign'],
    ],
  );
});

test('a PNG names the autoencoder that replaced the model’s own', () => {
  const text = pngOf({}, { ...XL, vaeName: 'owner/vae' });
  assert.match(text, /, Model: m, VAE: owner\/vae,/);
  assert.equal(parseGenerationParameters(text).vaeName, 'owner/vae');
  assert.doesNotMatch(pngOf({}), /VAE/);
});
