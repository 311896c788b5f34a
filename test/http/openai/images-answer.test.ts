/** The JSON answer of OpenAI's images API, written image by image. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndedJob, StoredImage } from '../../../src/http/front/front.ts';
import { imagesAnswer, usageOf } from '../../../src/http/openai/images-answer.ts';
import { allOf } from '../../lib/all-of.ts';
import { storedImage, type StoredImageOptions } from '../images/stored-image.ts';

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
const defaults = { job, model: 'sd15', usage: usageOf(3), ignored: [], warnings: [], urlOf: undefined };

function image(index: number, options: Partial<StoredImageOptions> = {}): StoredImage {
  return storedImage({ index, seed: 7 + index, pieces: [Uint8Array.of(1, 2, 3 + index)], ...options });
}

const parsed = async (texts: AsyncGenerator<string>): Promise<unknown> => JSON.parse((await allOf(texts)).join(''));

test('the answer has what OpenAI’s has, and the seed of each image', async () => {
  assert.deepEqual(await parsed(imagesAnswer({ ...defaults, images: [image(0), image(1)] })), {
    created: 5,
    id: 'j1',
    model: 'sd15',
    seed: 7,
    size: '16x8',
    quality: 'auto',
    background: 'opaque',
    output_format: 'png',
    usage: {
      input_tokens: 3,
      output_tokens: 0,
      total_tokens: 3,
      input_tokens_details: { text_tokens: 3, image_tokens: 0 },
    },
    data: [
      { b64_json: 'AQID', seed: 7 },
      { b64_json: 'AQIE', seed: 8 },
    ],
  });
});

test('an item has a URL or the image, never both', async () => {
  const urlOf = ({ index }: StoredImage): string => `http://h/images/j1/${index}.png?sig=x`;
  const { data } = (await parsed(imagesAnswer({ ...defaults, images: [image(0)], urlOf }))) as {
    readonly data: unknown;
  };
  assert.deepEqual(data, [{ url: 'http://h/images/j1/0.png?sig=x', seed: 7 }]);
});

test('ignored fields and warnings stand in the answer where there are any', async () => {
  const answer = await parsed(imagesAnswer({ ...defaults, images: [], ignored: ['user'], warnings: ['w.'] }));
  assert.deepEqual(answer, { ...(answer as object), ignored: ['user'], warnings: ['w.'], data: [] });
});

test('an image is opened when the one before was taken, so that one at a time is open', async () => {
  const read: number[] = [];
  const images = [0, 1, 2].map((index) => image(index, { onOpen: () => void read.push(index) }));
  const texts = imagesAnswer({ ...defaults, images });
  await texts.next();
  assert.deepEqual(read, [0]);
  await texts.next();
  assert.deepEqual(read, [0, 1]);
  await texts.return(undefined);
  assert.deepEqual(read, [0, 1]);
});

test('nothing is sent before the first image has begun to come', async () => {
  const texts = imagesAnswer({ ...defaults, images: [image(0, { pieces: [], trouble: new Error('gone') })] });
  await assert.rejects(texts.next(), /gone/);
});
