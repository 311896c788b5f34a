/** The arguments of the tools: what their schemas say, and what becomes of what a client sends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { cancelArguments, generateArguments, getArguments } from '../../../src/http/mcp/tool-arguments.ts';
import { ARGUMENT_FIELDS, generateSchema } from '../../../src/http/mcp/tool-schemas.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { REQUEST_FIELDS } from '../../../src/job/request-fields.ts';

function refusalOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    const { code, message } = error as Text2ImgError;
    return `${code}: ${message}`;
  }
  throw new Error('nothing was refused');
}

test('the schema of generate_image has the common fields of requests, with their ranges, and needs a prompt', () => {
  const { properties, required } = generateSchema(DEFAULT_LIMITS);
  assert.deepEqual(required, ['prompt']);
  assert.deepEqual(properties['num_inference_steps'], {
    type: 'integer',
    minimum: 1,
    maximum: DEFAULT_LIMITS.maxSteps,
    description: 'Denoising steps. Default: 50, or the model’s own.',
  });
  assert.equal(properties['num_images']?.maximum, DEFAULT_LIMITS.maxImages);
  assert.ok(properties['scheduler']?.enum?.includes('EulerDiscreteScheduler'));
  assert.equal(properties['text'], undefined, 'the prompt is called prompt');
  assert.equal(properties['sigmas'], undefined, 'rare fields are not named');
});

test('every field of requests is an argument, rare or not', () => {
  assert.equal(ARGUMENT_FIELDS.size, Object.keys(REQUEST_FIELDS).length);
  for (const [name, { wire }] of ARGUMENT_FIELDS)
    assert.deepEqual(generateArguments({ [name]: 7 }).document, { [wire]: 7 }, name);
});

test('arguments become a document; what is null is left out', () => {
  const given = {
    prompt: 'a fox',
    seed: 3,
    negative_prompt: null,
    model: 'sd',
    wait_seconds: 5,
    include_images: false,
  };
  assert.deepEqual(generateArguments(given), {
    document: { text: 'a fox', seed: 3 },
    model: 'sd',
    waitMs: 5000,
    includesImages: false,
  });
  assert.deepEqual(generateArguments({ prompt: 'a fox', model: null, wait_seconds: null, include_images: null }), {
    document: { text: 'a fox' },
    model: undefined,
    waitMs: 50_000,
    includesImages: true,
  });
});

test('an unknown argument is refused with the one that was perhaps meant, also a field of documents that is the service’s own', () => {
  assert.match(
    refusalOf(() => generateArguments({ prompt: 'a', num_inference_step: 3 })),
    /^invalid_parameter: "num_inference_step" is no argument of this tool\. Did you mean "num_inference_steps"\?/,
  );
  for (const name of ['_id', 'job', 'status', 'callback_url', 'priority', 'text', '__proto__', 'constructor'])
    assert.match(
      refusalOf(() => generateArguments(JSON.parse(`{"prompt":"a",${JSON.stringify(name)}:1}`))),
      /^invalid_parameter: /,
      name,
    );
});

test('bad values of the call’s own arguments are refused by name', () => {
  const generate = (given: object) => refusalOf(() => generateArguments({ prompt: 'a', ...given }));
  assert.match(generate({ wait_seconds: 281 }), /^invalid_parameter: "wait_seconds" is 281; .*from 0 to 280/);
  assert.match(generate({ wait_seconds: '5' }), /^invalid_parameter: "wait_seconds" is text/);
  assert.match(generate({ include_images: 'no' }), /^invalid_parameter: "include_images" is "no"; .*true and false/);
  assert.match(generate({ model: 7 }), /^invalid_parameter: "model" is 7/);
});

test('get_prompt and cancel_prompt need an id', () => {
  assert.deepEqual(getArguments({ id: 'x' }), { id: 'x', waitMs: 0, includesImages: true });
  assert.deepEqual(cancelArguments({ id: 'x' }), { id: 'x' });
  for (const given of [{}, { id: '' }, { id: 7 }, { id: null }, { id: 'x'.repeat(3000) }, { id: 'x', ids: [] }]) {
    assert.match(
      refusalOf(() => getArguments(given)),
      /^invalid_parameter: /,
    );
    assert.match(
      refusalOf(() => cancelArguments(given)),
      /^invalid_parameter: /,
    );
  }
});
