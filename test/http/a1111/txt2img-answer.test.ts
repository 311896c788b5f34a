/** The answer of `txt2img` is one JSON text that comes image by image, and `info` holds what clients read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerPieces } from '../../../src/http/a1111/txt2img-answer.ts';
import { infoText } from '../../../src/http/a1111/txt2img-info.ts';
import type { EndedJob, StoredImage } from '../../../src/http/front/front.ts';
import { storedImage } from '../images/stored-image.ts';
import { encodePng } from '../../../src/image/encode-png.ts';

const job: EndedJob = {
  id: 'a',
  status: 'completed',
  text: 'a fox',
  priority: 0,
  attempts: 1,
  seed: 7,
  startedAt: new Date('2026-11-26T07:05:01Z'),
  parameters: {
    negative_prompt: 'blurry',
    num_inference_steps: 20,
    guidance_scale: 7.5,
    width: 512,
    height: 768,
    num_images: 2,
    scheduler: 'EulerDiscreteScheduler',
    schedule_type: 'karras',
    clip_skip: 1,
    model: 'sd15',
    model_hash: '0123456789',
  },
};

async function image(index: number): Promise<StoredImage> {
  const parameters = {
    prompt: 'a fox',
    seed: 7 + index,
    widthPx: 8,
    heightPx: 8,
    modelName: 'sd15',
    modelHash: null,
  };
  const png = await encodePng({ rgb: new Uint8Array(192), widthPx: 8, heightPx: 8, parameters });
  return storedImage({ index, seed: 7 + index, pieces: [png] });
}

interface Parsed {
  readonly images: readonly string[];
  readonly parameters: object;
  readonly info: string;
}

async function answerWith(
  images: readonly StoredImage[],
  sendsImages = true,
): Promise<{ pieces: string[]; answer: Parsed }> {
  const infoOf = (facts: Parameters<typeof infoText>[0]['images']) =>
    infoText({ jobs: [job], document: { text: 'a fox' }, model: 'x', images: facts, warnings: [], now: new Date(0) });
  const pieces: string[] = [];
  for await (const piece of answerPieces({ images, sendsImages, parameters: { steps: 20 }, infoOf }))
    pieces.push(piece);
  return { pieces, answer: JSON.parse(pieces.join('')) as Parsed };
}

test('images, parameters and info are one JSON text that comes in pieces', async () => {
  const { pieces, answer } = await answerWith([await image(0), await image(1)]);
  assert.ok(pieces.length >= 3, `${pieces.length}`);
  assert.deepEqual(
    answer.images.map((one) => Buffer.from(one, 'base64').toString('latin1', 1, 4)),
    ['PNG', 'PNG'],
  );
  assert.deepEqual(answer.parameters, { steps: 20 });
  const info = JSON.parse(answer.info) as { all_seeds: unknown; infotexts: readonly string[] };
  assert.deepEqual(info.all_seeds, [7, 8]);
  assert.match(info.infotexts[1]?.split('\n').pop() ?? '', /Seed: 8, Size: 8x8/);
});

test('without images, or without sending them, the answer is whole', async () => {
  assert.deepEqual((await answerWith([])).answer.images, []);
  const { answer } = await answerWith([await image(0)], false);
  assert.deepEqual(answer.images, []);
  assert.equal((JSON.parse(answer.info) as { infotexts: readonly string[] }).infotexts.length, 1);
});

test('a store that fails at the first image fails before a piece comes', async () => {
  const failing = storedImage({ pieces: [], trouble: new Error('gone') });
  await assert.rejects(answerWith([failing]), /gone/);
});

test('info holds what LibreChat and webuiapi read', () => {
  const text = infoText({
    jobs: [job],
    document: { text: 'a fox' },
    model: 'x',
    images: [{ seed: 7, infotext: 'a fox\nSteps: 20' }],
    warnings: ['"tiling" has no effect.'],
    now: new Date(0),
  });
  const info = JSON.parse(text) as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries({
    prompt: 'a fox',
    all_prompts: ['a fox'],
    negative_prompt: 'blurry',
    seed: 7,
    all_seeds: [7],
    subseed: -1,
    width: 512,
    height: 768,
    sampler_name: 'Euler',
    cfg_scale: 7.5,
    steps: 20,
    batch_size: 2,
    sd_model_name: 'sd15',
    sd_model_hash: '0123456789',
    extra_generation_params: { 'Schedule type': 'Karras', Warnings: '"tiling" has no effect.' },
    index_of_first_image: 0,
    infotexts: ['a fox\nSteps: 20'],
    job_timestamp: '20261126070501',
    clip_skip: 2,
  }))
    assert.deepEqual(info[name], value, name);
});

test('an interrupted request says what was asked for', () => {
  const document = { text: 'a fox', seed: 5, width: 512, height: 512, num_inference_steps: 20, scheduler: 'Euler a' };
  const info = JSON.parse(
    infoText({ jobs: [], document, model: 'sd15', images: [], warnings: [], now: new Date(0) }),
  ) as {
    [name: string]: unknown;
  };
  assert.deepEqual(
    [info['seed'], info['width'], info['sampler_name'], info['sd_model_name'], info['infotexts']],
    [5, 512, 'Euler a', 'sd15', []],
  );
});
