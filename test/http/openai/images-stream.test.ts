/** The stream of OpenAI's images API, text by text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import type { EndedJob, JobEvent } from '../../../src/http/front/front.ts';
import { usageOf } from '../../../src/http/openai/images-answer.ts';
import { imagesStream, type StreamOptions } from '../../../src/http/openai/images-stream.ts';
import { allOf } from '../../lib/all-of.ts';
import { storedImage } from '../images/stored-image.ts';
import { eventsIn } from './event-stream.ts';

const png = Uint8Array.of(1, 2, 3);
const job: EndedJob = {
  id: 'j1',
  status: 'completed',
  text: 'a fox',
  priority: 0,
  attempts: 1,
  seed: 7,
  parameters: { width: 16, height: 8 },
  finishedAt: new Date(5000),
};
const image = (index: number, trouble?: Error) =>
  storedImage({
    index,
    seed: 7 + index,
    pieces: trouble === undefined ? [png] : [],
    ...(trouble === undefined ? {} : { trouble }),
  });

const defaults: StreamOptions = {
  id: 'j1',
  document: { text: 'a fox' },
  partialImages: 0,
  usage: usageOf(2),
  wait: async () => job,
  images: async () => [image(0)],
  onTrouble: (error) => ({ error: Text2ImgError.from(error), status: 503 }),
};

async function textOf(options: Partial<StreamOptions>): Promise<string> {
  return (await allOf(imagesStream({ ...defaults, ...options }))).join('');
}

test('the head of the answer is sent at once, and the last event is the image with usage and seed', async () => {
  const text = await textOf({});
  assert.ok(text.startsWith(': j1\n\n'));
  assert.deepEqual(eventsIn(text), [
    {
      event: 'image_generation.completed',
      data: {
        type: 'image_generation.completed',
        b64_json: 'AQID',
        created_at: 5,
        size: '16x8',
        quality: 'auto',
        background: 'opaque',
        output_format: 'png',
        usage: usageOf(2),
        id: 'j1',
        seed: 7,
      },
    },
  ]);
});

test('each image of several is an event of its own, with its own seed', async () => {
  const events = eventsIn(await textOf({ images: async () => [image(0), image(1)] }));
  assert.deepEqual(
    events.map(({ event, data }) => [event, data['seed']]),
    [
      ['image_generation.completed', 7],
      ['image_generation.completed', 8],
    ],
  );
});

test('previews come as partial images with indexes from 0, before the image', async () => {
  const wait = async (onEvent: (event: JobEvent) => void): Promise<EndedJob> => {
    for (let step = 1; step <= 20; step++) onEvent({ type: 'preview', id: 'j1', png, step, steps: 20 });
    onEvent({ type: 'completed', job });
    return job;
  };
  const events = eventsIn(await textOf({ wait, partialImages: 2, document: { text: 'a fox', width: 16, height: 8 } }));
  assert.deepEqual(
    events.map(({ event, data }) => [event, data['partial_image_index'], data['size']]),
    [
      ['image_generation.partial_image', 0, '16x8'],
      ['image_generation.partial_image', 1, '16x8'],
      ['image_generation.completed', undefined, '16x8'],
    ],
  );
});

test('any other end of the job, and an image that cannot be read, end the stream with an error event', async () => {
  const down = new Text2ImgError('shutting_down', 'the server is shutting down.');
  const lost = async (): Promise<never> => {
    throw down;
  };
  for (const trouble of [{ wait: lost }, { images: lost }, { images: async () => [image(0, down)] }]) {
    const last = eventsIn(await textOf(trouble)).at(-1);
    assert.equal(last?.event, 'error');
    assert.deepEqual(last?.data, {
      type: 'error',
      error: { message: 'the server is shutting down.', type: 'server_error', param: null, code: 'shutting_down' },
    });
  }
});

test('an image that breaks off in the middle breaks the stream, because no event can follow half of one', async () => {
  const down = new Text2ImgError('store_failed', 'the store is away.');
  const half = storedImage({ pieces: [png], trouble: down });
  const texts: string[] = [];
  await assert.rejects(async () => {
    for await (const text of imagesStream({ ...defaults, images: async () => [half] })) texts.push(text);
  }, down);
  assert.ok(texts.join('').endsWith('"b64_json":"AQID'), texts.join(''));
  assert.equal(half.openNow, 0);
});

test('where nothing happens, comments are signs of life', async () => {
  const { promise, resolve } = Promise.withResolvers<EndedJob>();
  const texts = imagesStream({ ...defaults, wait: () => promise, signOfLifeMs: 1 });
  for (const expected of [': j1\n\n', ': waiting\n\n', ': waiting\n\n'])
    assert.equal((await texts.next()).value, expected);
  resolve(job);
  const rest = await allOf(texts);
  assert.match(rest.join(''), /^event: image_generation\.completed\n.*\n\n$/);
});
