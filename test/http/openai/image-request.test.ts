/** The body of OpenAI's images API becomes a prompt document, under whatever names the client uses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { openAiError } from '../../../src/http/openai/errors.ts';
import { requestFieldOf } from '../../../src/http/openai/field-names.ts';
import { readImageRequest } from '../../../src/http/openai/image-request.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import { REQUEST_FIELDS } from '../../../src/job/request-fields.ts';

/** The error with which a body is refused, by the door or by the table of fields behind it. */
function refusalOf(body: unknown): ReturnType<typeof openAiError> {
  try {
    const request = readImageRequest(body);
    try {
      parsePromptDocument(request.document, DEFAULT_LIMITS);
    } catch (error) {
      throw request.inItsNames(Text2ImgError.from(error));
    }
  } catch (error) {
    return openAiError(Text2ImgError.from(error), 400);
  }
  throw new assert.AssertionError({ message: `was not refused: ${JSON.stringify(body)}` });
}

const documentOf = (body: object): unknown => readImageRequest({ prompt: 'a fox', ...body }).document;

test('a prompt alone is a document with its text', () => {
  assert.deepEqual(readImageRequest({ prompt: 'a fox' }).document, { text: 'a fox' });
});

test('each request field is taken under the name that documents have for it', () => {
  for (const { wire } of Object.values(REQUEST_FIELDS)) assert.equal(requestFieldOf(wire), wire);
  const fields = {
    negative_prompt: 'blurry',
    seed: 5,
    num_inference_steps: 20,
    guidance_scale: 7,
    width: 512,
    height: 256,
    num_images: 2,
    scheduler: 'euler_a',
    schedule_type: 'karras',
    clip_skip: 1,
    original_size: [512, 256],
  };
  assert.deepEqual(documentOf(fields), { text: 'a fox', ...fields });
});

test('other servers’ names for a field are taken', () => {
  const aliases = {
    num_inference_steps: ['steps', 'step', 'sample_steps', 'num_steps'],
    guidance_scale: ['cfg', 'cfg_scale', 'guidance', 'true_cfg_scale'],
    scheduler: ['sampler', 'sampler_name', 'sample_method'],
    num_images: ['n', 'num_images_per_prompt', 'batch_count', 'batch_size', 'n_iter'],
    seed: ['rng_seed'],
  };
  for (const [wire, names] of Object.entries(aliases))
    for (const name of names) {
      const value = wire === 'scheduler' ? 'euler' : 3;
      assert.deepEqual(documentOf({ [name]: value }), { text: 'a fox', [wire]: value }, name);
    }
  assert.deepEqual(documentOf({ negative: 'blurry' }), { text: 'a fox', negative_prompt: 'blurry' });
});

test('a field that counts layers from 1 is not taken for ours, which counts from 0', () => {
  const { document, ignored } = readImageRequest({ prompt: 'a fox', CLIP_stop_at_last_layers: 2 });
  assert.deepEqual([document, ignored], [{ text: 'a fox' }, ['CLIP_stop_at_last_layers']]);
});

test('where a body states a field twice the API’s own name counts, and a warning names the other', () => {
  const { document, warnings } = readImageRequest({ prompt: 'a fox', batch_size: 4, num_images: 3, n: 2, steps: 5 });
  assert.deepEqual(document, { text: 'a fox', num_images: 2, num_inference_steps: 5 });
  assert.equal(warnings.length, 2);
  assert.match(warnings.join(' '), /"num_images" has no effect, because "n" is given\. .*"batch_size"/);
  assert.deepEqual(readImageRequest({ prompt: 'a fox', batch_size: 2, n: 2 }).warnings, []);
});

test('numbers and booleans as text are read, and null or an empty text is absent', () => {
  const body = {
    prompt: 'a fox',
    n: '2',
    seed: ' 7 ',
    cfg_scale: '7.50',
    width: '512.0',
    height: null,
    steps: '',
    stream: 'true',
    partial_images: '2',
  };
  const { document, isStream, partialImages } = readImageRequest(body);
  assert.deepEqual(document, { text: 'a fox', num_images: 2, seed: 7, guidance_scale: 7.5, width: 512 });
  assert.deepEqual([isStream, partialImages], [true, 2]);
  const nothing = {
    n: null,
    seed: null,
    negative_prompt: '',
    scheduler: '',
    size: null,
    stream: null,
    response_format: '',
  };
  assert.deepEqual(documentOf(nothing), { text: 'a fox' });
  assert.equal(readImageRequest({ prompt: 'a fox', stream: 'False' }).isStream, false);
});

test('an empty prompt stays one', () => {
  assert.deepEqual(readImageRequest({ prompt: '' }).document, { text: '' });
});

test('a prompt with | in it stays as it is', () => {
  assert.deepEqual(readImageRequest({ prompt: 'a fox|blurry' }).document, { text: 'a fox|blurry' });
});

for (const [size, expected] of [
  ['512x256', { width: 512, height: 256 }],
  ['512X256', { width: 512, height: 256 }],
  ['512*256', { width: 512, height: 256 }],
  [' 512 x 256 ', { width: 512, height: 256 }],
  ['auto', {}],
  ['AUTO', {}],
  ['', {}],
  [null, {}],
] as const)
  test(`the size ${JSON.stringify(size)} is taken`, () => {
    const { document, warnings } = readImageRequest({ prompt: 'a fox', size });
    assert.deepEqual([document, warnings], [{ text: 'a fox', ...expected }, []]);
  });

test('sides that 8 does not divide are rounded down, with a warning', () => {
  const { document, warnings } = readImageRequest({ prompt: 'a fox', size: '1023x517' });
  assert.deepEqual(document, { text: 'a fox', width: 1016, height: 512 });
  assert.deepEqual(warnings, ['size 1023x517 was rounded down to 1016x512.']);
  const sides = readImageRequest({ prompt: 'a fox', width: 515 });
  assert.deepEqual(
    [sides.document, sides.warnings],
    [{ text: 'a fox', width: 512 }, ['width 515 was rounded down to 512.']],
  );
});

test('width and height come before size, with a warning where they differ', () => {
  const { document, warnings } = readImageRequest({ prompt: 'a fox', size: '512x512', width: 256, height: 512 });
  assert.deepEqual(document, { text: 'a fox', width: 256, height: 512 });
  assert.deepEqual(warnings, ['"size" has no effect, because "width" is given.']);
});

for (const size of [
  '512',
  '16:9',
  '512x',
  '4x512',
  '0x0',
  '-512x512',
  512,
  ['512x512'],
  {},
  'x'.repeat(1e6),
  '99999999x8',
])
  test(`the size ${JSON.stringify(size).slice(0, 30)} is refused as "size"`, () => {
    const { param, code, message } = refusalOf({ prompt: 'a fox', size });
    assert.deepEqual([param, code], ['size', 'invalid_parameter']);
    assert.ok(message.length < 600);
  });

test('a size above the limit is refused as "size", with the limit', () => {
  const { param, message } = refusalOf({ prompt: 'a fox', size: '4096x4096' });
  assert.equal(param, 'size');
  assert.match(message, /^"size" is "4096x4096": .* at most 4194304\./);
});

test('what the table of fields refuses is refused in the name that the client used', () => {
  for (const [body, param, allowed] of [
    [{ n: 0 }, 'n', /^"n" is 0; allowed are whole numbers from 1 to 16\.$/],
    [{ n: 99 }, 'n', /from 1 to 16/],
    [{ n: 'two' }, 'n', /^"n" is text \("two"\)/],
    [{ n: 1.5 }, 'n', /whole numbers/],
    [{ n: true }, 'n', /whole numbers/],
    [{ steps: 0 }, 'steps', /^"steps" is 0/],
    [{ cfg: 'much' }, 'cfg', /^"cfg" is text/],
    [{ sampler: 'no such' }, 'sampler', /no such/],
    [{ seed: -2 }, 'seed', /or -1 for random/],
    [{ width: 4 }, 'width', /^"width" is 4/],
    [{ prompt: 5 }, 'prompt', /^"prompt" is 5/],
    [{ prompt: 'x'.repeat(70_000) }, 'prompt', /^"prompt" has 70000 bytes/],
  ] as const) {
    const refusal = refusalOf({ prompt: 'a fox', ...body });
    assert.equal(refusal.param, param, refusal.message);
    assert.match(refusal.message, allowed);
    assert.equal(refusal.type, 'invalid_request_error');
  }
});

test('a prompt that is missing, null or a list of several is refused as "prompt"', () => {
  for (const body of [{}, { prompt: null }, { prompt: ['a', 'b'] }, { prompt: [] }])
    assert.deepEqual([refusalOf(body).param, refusalOf(body).code], ['prompt', 'invalid_prompt'], JSON.stringify(body));
  assert.deepEqual(readImageRequest({ prompt: ['a fox'] }).document, { text: 'a fox' });
});

test('a body that is no object is refused', () => {
  for (const body of [undefined, null, 5, 'text', [], [{ prompt: 'a fox' }]])
    assert.equal(refusalOf(body).code, 'invalid_document');
});

test('a list of seeds is taken where it says what one seed says', () => {
  assert.deepEqual(documentOf({ seed: [5] }), { text: 'a fox', seed: 5 });
  assert.deepEqual(documentOf({ seed: [5], n: 3 }), { text: 'a fox', num_images: 3, seed: 5 });
  assert.deepEqual(documentOf({ seed: [5, 6, 7], n: 3 }), { text: 'a fox', num_images: 3, seed: 5 });
  assert.deepEqual(documentOf({ seed: ['5', '6'], n: '2' }), { text: 'a fox', num_images: 2, seed: 5 });
  for (const body of [
    { seed: [] },
    { seed: [5, 7], n: 2 },
    { seed: [5, 6], n: 3 },
    { seed: [5, 6] },
    { seed: [6, 5], n: 2 },
    { seed: [null, null], n: 2 },
  ])
    assert.equal(refusalOf({ prompt: 'a fox', ...body }).param, 'seed', JSON.stringify(body));
});

test('OpenAI’s fields without effect and unknown fields are named as ignored; null ones are not', () => {
  const body = {
    prompt: 'a fox',
    quality: 'hd',
    style: 'vivid',
    background: 'auto',
    moderation: 'low',
    user: 'u',
    safety_identifier: 's',
    input_fidelity: 'high',
    output_compression: 90,
    surprise: 1,
    frame_count: null,
  };
  const { ignored, document } = readImageRequest(body);
  const expected = [
    'quality',
    'style',
    'background',
    'moderation',
    'user',
    'safety_identifier',
    'input_fidelity',
    'output_compression',
    'surprise',
  ];
  assert.deepEqual([ignored, document], [expected, { text: 'a fox' }]);
});

test('what would change the image and cannot yet is named as ignored, with a warning', () => {
  const { ignored, warnings } = readImageRequest({
    prompt: 'a fox',
    strength: 0.5,
    lora: [{ path: 'x' }],
    denoising_strength: 0,
  });
  assert.deepEqual(ignored, ['strength', 'lora', 'denoising_strength']);
  assert.deepEqual(warnings.length, 2);
});

test('an image as input is refused by name', () => {
  for (const name of ['image', 'mask', 'init_image', 'ref_images', 'file', 'files'])
    assert.deepEqual(
      [refusalOf({ prompt: 'a fox', [name]: 'AAAA' }).code, refusalOf({ prompt: 'a fox', [name]: ['AAAA'] }).param],
      ['not_implemented', name],
    );
  assert.deepEqual(documentOf({ image: null, mask: '', ref_images: [] }), { text: 'a fox' });
});

test('secrets that a client keeps in its body reach neither document nor headers', () => {
  const { document, ignored, warnings } = readImageRequest({
    prompt: 'a fox',
    url: 'http://u:pw@x',
    auth: 'u:pw',
    key: 'pw',
  });
  assert.deepEqual([document, ignored, warnings], [{ text: 'a fox' }, [], []]);
});

test('choices outside those offered are refused by name', () => {
  for (const [body, param] of [
    [{ output_format: 'jpeg' }, 'output_format'],
    [{ response_format: 'file' }, 'response_format'],
    [{ stream: 'yes' }, 'stream'],
    [{ stream: 1 }, 'stream'],
    [{ partial_images: 4 }, 'partial_images'],
    [{ partial_images: -1 }, 'partial_images'],
    [{ model: 5 }, 'model'],
    [{ model: ['sd15'] }, 'model'],
  ] as const)
    assert.equal(refusalOf({ prompt: 'a fox', ...body }).param, param);
  assert.equal(readImageRequest({ prompt: 'a fox', output_format: 'png', model: '' }).model, undefined);
});

test('foreign names never reach a prototype', () => {
  const body: unknown = JSON.parse('{"prompt":"a fox","__proto__":{"seed":1},"constructor":2,"toString":3}');
  const { document, ignored } = readImageRequest(body);
  assert.deepEqual(document, { text: 'a fox' });
  assert.deepEqual(ignored, ['__proto__', 'constructor', 'toString']);
});
