/** The tag with JSON in a prompt, as clients of stable-diffusion.cpp write it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { readImageRequest } from '../../../src/http/openai/image-request.ts';

const withTag = (args: unknown): string => `a fox <sd_cpp_extra_args>${JSON.stringify(args)}</sd_cpp_extra_args>`;

test('the tag’s values become the request’s, and the tag leaves the prompt', () => {
  const args = {
    negative_prompt: 'blurry',
    clip_skip: 2,
    width: 512,
    height: 256,
    seed: 7,
    batch_count: 2,
    sample_params: {
      sample_steps: 9,
      sample_method: 'euler_a',
      scheduler: 'karras',
      eta: 0,
      guidance: { txt_cfg: 4.5, img_cfg: 1 },
    },
    vae_tiling_params: { enabled: true },
  };
  const { document, ignored } = readImageRequest({ prompt: withTag(args), n: 1 });
  assert.deepEqual(document, {
    text: 'a fox',
    negative_prompt: 'blurry',
    clip_skip: 1,
    width: 512,
    height: 256,
    seed: 7,
    num_images: 2,
    num_inference_steps: 9,
    scheduler: 'euler_a',
    schedule_type: 'karras',
    guidance_scale: 4.5,
  });
  assert.deepEqual(ignored, ['sd_cpp_extra_args.vae_tiling_params', 'guidance.img_cfg']);
});

test('their ways to write none are none', () => {
  const none = {
    seed: -1,
    clip_skip: -1,
    sample_params: { sample_method: 'default', scheduler: 'default', sample_steps: -1 },
  };
  assert.deepEqual(readImageRequest({ prompt: withTag(none) }).document, { text: 'a fox' });
  const discrete = readImageRequest({ prompt: withTag({ clip_skip: 1, sample_params: { scheduler: 'discrete' } }) });
  assert.deepEqual(discrete.document, { text: 'a fox', clip_skip: 0, schedule_type: 'normal' });
});

test('a tag without a JSON object is refused as "prompt", without its text', () => {
  for (const inside of ['{', 'secret', '[1]', '5', '"x"']) {
    assert.throws(
      () => readImageRequest({ prompt: `a <sd_cpp_extra_args>${inside}</sd_cpp_extra_args>` }),
      (error: unknown) =>
        error instanceof Text2ImgError &&
        error.code === 'invalid_parameter' &&
        error.message.startsWith('"prompt" has <sd_cpp') &&
        !error.message.includes('secret'),
    );
  }
});

test('a tag that does not end is part of the prompt', () => {
  const prompt = 'a <sd_cpp_extra_args>{"seed":5}';
  assert.deepEqual(readImageRequest({ prompt }).document, { text: prompt });
});
