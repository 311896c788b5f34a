/** OpenAI's own SDK for Node against the server: images, streams, errors as its classes, repeats. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type OpenAI from 'openai';
import { APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError } from 'openai';
import { allOf } from '../../lib/all-of.ts';
import { serve } from '../served.ts';
import { recordingFetch } from './recording-fetch.ts';
import { clientOf, errorOf, isPng, jobsOf } from './sdk-client.ts';

test('images are generated, and the answer has what the SDK’s types promise', async (t) => {
  const served = await serve(t);
  const answer = await clientOf(served).images.generate({ prompt: 'a fox', n: 2, size: '16x8' });
  assert.equal(answer.data?.length, 2);
  for (const { b64_json, url } of answer.data ?? []) {
    isPng(b64_json);
    assert.equal(url, undefined);
  }
  assert.deepEqual(answer.usage, {
    input_tokens: 2,
    output_tokens: 0,
    total_tokens: 2,
    input_tokens_details: { text_tokens: 2, image_tokens: 0 },
  });
  assert.deepEqual([answer.size, answer.output_format], ['16x8', 'png']);
  assert.match((answer as { _request_id?: string })._request_id ?? '', /^[\w.-]+$/);
  assert.ok(answer.created > 1.7e9 && answer.created < 1e10, 'in seconds');
});

test('the same seed and steps give the same image, and each image has its own seed in the answer', async (t) => {
  const served = await serve(t);
  const client = clientOf(served);
  const superset = { seed: 5, steps: 2, negative_prompt: 'blurry' };
  const one = await client.images.generate({ prompt: 'a fox', n: 2, ...superset });
  const other = await client.images.generate({ prompt: 'a fox', ...superset, seed: 6 } as never);
  const seeds = one.data?.map((item) => (item as { seed?: number }).seed);
  assert.deepEqual(seeds, [5, 6]);
  const [id] = await jobsOf(served);
  const { parameters } = (await served.queue.show(id ?? '')) ?? {};
  assert.deepEqual([parameters?.['num_inference_steps'], parameters?.['negative_prompt']], [2, 'blurry']);
  assert.equal((other as OpenAI.ImagesResponse).data?.length, 1);
});

test('headers name the job, the model, and what had no effect', async (t) => {
  const served = await serve(t, { models: [{ id: 'sd15', aliases: ['small'] }] });
  const call = clientOf(served).images.generate({
    model: 'small',
    prompt: 'a fox',
    size: '17x9',
    quality: 'hd',
    user: 'u',
  });
  const { response } = await call.withResponse();
  const [id] = await jobsOf(served);
  assert.equal(response.headers.get('text2img-id'), id);
  assert.equal(response.headers.get('text2img-model'), 'sd15');
  assert.equal(response.headers.get('text2img-ignored'), 'quality, user');
  assert.match(response.headers.get('text2img-warnings') ?? '', /17x9 was rounded down to 16x8/);
});

test('a stream ends with each image, usage and seed', async (t) => {
  const served = await serve(t);
  const stream = await clientOf(served).images.generate({
    prompt: 'a fox',
    n: 2,
    stream: true,
    partial_images: 2,
    seed: 5,
  } as never);
  const events = await allOf(
    stream as unknown as AsyncIterable<OpenAI.ImageGenStreamEvent & { readonly seed: number }>,
  );
  const completed = events.filter(({ type }) => type === 'image_generation.completed');
  assert.equal(events.at(-1)?.type, 'image_generation.completed');
  assert.deepEqual(
    completed.map(({ seed }) => seed),
    [5, 6],
  );
  for (const event of completed) {
    isPng(event.b64_json);
    assert.equal(event.type === 'image_generation.completed' && event.usage.total_tokens, 2);
  }
});

test('models are listed and looked up by any name, slashes and blanks included', async (t) => {
  const served = await serve(t, { models: [{ id: 'a/b c', aliases: ['gpt-image-local'] }] });
  const client = clientOf(served);
  const { data } = await client.models.list();
  assert.deepEqual(
    data.map(({ id, object }) => [id, object]),
    [
      ['a/b c', 'model'],
      ['gpt-image-local', 'model'],
    ],
  );
  for (const id of ['a/b c', 'gpt-image-local', 'dall-e-3']) assert.equal((await client.models.retrieve(id)).id, id);
  const error = await errorOf(client.models.retrieve('no such'), NotFoundError);
  assert.deepEqual([error.code, error.param], ['model_not_found', 'model']);
});

test('what is refused is the SDK’s error class, with code, param and request id, and is sent once', async (t) => {
  const served = await serve(t);
  const { fetch, exchanges } = recordingFetch();
  const { images } = clientOf(served, { fetch });
  const wrongSize = await errorOf(images.generate({ prompt: 'a fox', size: 'large' }), BadRequestError);
  assert.deepEqual(
    [wrongSize.code, wrongSize.param, wrongSize.type],
    ['invalid_parameter', 'size', 'invalid_request_error'],
  );
  assert.match(wrongSize.message, /"size" is "large"/);
  assert.match(wrongSize.requestID ?? '', /^[\w.-]+$/);
  const wrongModel = await errorOf(images.generate({ prompt: 'a fox', model: 'none' }), NotFoundError);
  assert.equal(wrongModel.code, 'model_not_found');
  const file = new File(['image'], 'a.png', { type: 'image/png' });
  for (const call of [images.edit({ image: file, prompt: 'a fox' }), images.createVariation({ image: file })])
    assert.equal((await errorOf(call, InternalServerError)).code, 'not_implemented');
  assert.deepEqual(
    exchanges.map(({ status }) => status),
    [400, 404, 501, 501],
  );
  assert.deepEqual(await jobsOf(served), []);
});

test('a wrong key is an AuthenticationError', async (t) => {
  const served = await serve(t, { keys: ['alice'] });
  const error = await errorOf(clientOf(served).images.generate({ prompt: 'a fox' }), AuthenticationError);
  assert.deepEqual([error.code, error.type], ['unauthorized', 'authentication_error']);
  const answer = await clientOf(served, { apiKey: served.secretOf('alice') }).images.generate({ prompt: 'a fox' });
  isPng(answer.data?.[0]?.b64_json);
});

test('a job that ends in an error is an InternalServerError with its code, and is not repeated', async (t) => {
  const served = await serve(t);
  const { fetch, exchanges } = recordingFetch();
  const prompt = `[once invalid_image ${served.folder}/once]`;
  const error = await errorOf(clientOf(served, { fetch }).images.generate({ prompt }), InternalServerError);
  assert.deepEqual([error.code, exchanges.length], ['invalid_image', 1]);
  assert.equal((await jobsOf(served)).length, 1);
});

test('a stream of a job that ends in an error raises it', async (t) => {
  const served = await serve(t);
  const prompt = `[once invalid_image ${served.folder}/once]`;
  const stream = await clientOf(served).images.generate({ prompt, stream: true });
  const error = await errorOf(allOf(stream), APIError);
  assert.deepEqual([error.code, error.type], ['invalid_image', 'server_error']);
});

test('a stream that is refused has a status, like any other request', async (t) => {
  const served = await serve(t);
  const call = clientOf(served).images.generate({ prompt: 'a fox', stream: true, n: 99 });
  assert.equal((await errorOf(call, BadRequestError)).param, 'n');
});

test('a stream of a job that takes long shows previews before the image', async (t) => {
  const served = await serve(t);
  const prompt = 'a fox [slow 200]';
  const stream = await clientOf(served).images.generate({
    prompt,
    stream: true,
    partial_images: 2,
    steps: 40,
  } as never);
  const events = await allOf(stream as unknown as AsyncIterable<OpenAI.ImageGenStreamEvent>);
  const partials = events.filter(({ type }) => type === 'image_generation.partial_image');
  assert.deepEqual(
    partials.map((event) => event.type === 'image_generation.partial_image' && event.partial_image_index),
    [0, 1],
  );
  for (const { b64_json } of events) isPng(b64_json);
  assert.equal(events.at(-1)?.type, 'image_generation.completed');
});
