/** What is special about Stable Diffusion XL beside its pixels: mixed batches, fields without effect, and checkpoints that are refused. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { loadModel } from '../../../src/engine/child/load-model.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { copyOfBase, setKeys } from '../../checkpoint/checkpoint-copies.ts';
import { openKnown } from '../../checkpoint/open-known.ts';
import { cpuSettings } from '../../engine/cpu-settings.ts';
import { drawDocuments } from '../draw-jobs.ts';

const SMALL = { num_inference_steps: 2, width: 48, height: 40 };

/** They share a pass: same size, steps and scheduler, and all are guided. */
const MIXED = [
  { text: 'a red house', seed: 1, ...SMALL },
  { text: 'a red house', seed: 2, ...SMALL, negative_prompt: '' },
  { text: 'a blue lake', seed: 3, ...SMALL, negative_prompt: 'blurry', negative_prompt_2: 'dark', guidance_scale: 9 },
  {
    text: 'a fox',
    prompt_2: 'in the snow',
    seed: 4,
    ...SMALL,
    original_size: [900, 600],
    crops_coords_top_left: [8, 9],
  },
  {
    text: 'a fox',
    seed: 5,
    ...SMALL,
    target_size: [512, 640],
    negative_original_size: [100, 200],
    negative_target_size: [300, 400],
    guidance_rescale: 0.6,
    clip_skip: 1,
  },
];

test('images with other sizes as conditions, negative prompts and guidance share passes, bit for bit as alone', async (t) => {
  const folder = copyOfBase(t, 'base-xl');
  const passes: number[] = [];
  const onPass = (images: number): void => void passes.push(images);
  const together = await drawDocuments(folder, MIXED, { maxBatchImages: MIXED.length, onPass });
  assert.deepEqual(passes, [MIXED.length, MIXED.length]);
  const alone = await drawDocuments(folder, MIXED);
  assert.deepEqual(together, alone);
  const distinct = new Set(alone.map(({ pixels: [image] }) => Buffer.from(image ?? []).toString('base64')));
  assert.equal(distinct.size, MIXED.length);
});

test('a field that diffusers takes and does not use is told', async (t) => {
  const folder = copyOfBase(t, 'base-xl');
  const stated = { negative_prompt_2: 'dark', negative_target_size: [8, 8], negative_crops_coords_top_left: [1, 1] };
  const [plain, unused] = await drawDocuments(folder, [
    { text: 'a', seed: 1, ...SMALL },
    { text: 'a', seed: 1, ...SMALL, ...stated },
  ]);
  assert.deepEqual(plain?.warnings, []);
  assert.deepEqual(unused?.pixels, plain?.pixels);
  assert.deepEqual(unused?.warnings, [
    '"negative_prompt_2" has no effect with this model unless "negative_prompt" is given too.',
    '"negative_target_size" has no effect unless "negative_original_size" and "negative_target_size" are both given.',
    '"negative_crops_coords_top_left" has no effect unless "negative_original_size" and "negative_target_size" are both given.',
  ]);
});

test('a prompt that is cut for both text encoders is told once', async (t) => {
  const [drawn] = await drawDocuments(copyOfBase(t, 'base-xl'), [
    { text: 'a small red house beside a lake, '.repeat(20), ...SMALL, guidance_scale: 1 },
  ]);
  assert.equal(drawn?.warnings.length, 1);
  assert.match(drawn?.warnings[0] ?? '', /^The prompt was cut because CLIP reads at most 77 tokens; left out: "/);
});

test('clip_skip beyond the shorter text encoder ends its job with the numbers that are allowed', async (t) => {
  const [bad, good] = await drawDocuments(copyOfBase(t, 'base-xl'), [
    { text: 'a', ...SMALL, clip_skip: 3 },
    { text: 'a', ...SMALL, clip_skip: 2 },
  ]);
  assert.equal(bad?.error?.code, 'invalid_parameter');
  assert.equal(bad?.error?.message, '"clip_skip" is 3; allowed are whole numbers from 0 to 2.');
  assert.equal(good?.pixels.length, 1);
});

/** The base with a change, whose refusal is expected when it is opened or proved. */
async function refusal(t: TestContext, spoil: (folder: string) => void): Promise<Text2ImgError> {
  const folder = copyOfBase(t, 'base-xl');
  spoil(folder);
  try {
    proveFit(await openKnown(folder));
  } catch (error) {
    return Text2ImgError.from(error);
  }
  return assert.fail('the checkpoint is not refused');
}

test('the refiner is refused by its name', async (t) => {
  const { code, message } = await refusal(t, (folder) =>
    setKeys(join(folder, 'model_index.json'), {
      _class_name: 'StableDiffusionXLImg2ImgPipeline',
      text_encoder: [null, null],
      tokenizer: [null, null],
    }),
  );
  assert.equal(code, 'unsupported_class');
  assert.match(message, /model_index\.json: this is the refiner of Stable Diffusion XL.*--model needs the base model/);
});

for (const pipeline of ['StableDiffusionXLImg2ImgPipeline', 'StableDiffusionXLInpaintPipeline'])
  test(`a checkpoint of ${pipeline} with the components of text-to-image loads`, async (t) => {
    const folder = copyOfBase(t, 'base-xl');
    setKeys(join(folder, 'model_index.json'), { _class_name: pipeline });
    assert.deepEqual(Object.keys(proveFit(await openKnown(folder))), ['text_encoder', 'text_encoder_2', 'unet', 'vae']);
  });

const misfits: readonly (readonly [
  what: string,
  file: string,
  keys: Readonly<Record<string, unknown>>,
  says: RegExp,
])[] = [
  [
    'a UNet that expects one text encoder',
    'unet',
    { cross_attention_dim: 16 },
    /"cross_attention_dim" is 16, but the sum .* is 40/,
  ],
  [
    'a pooled vector of another width',
    'text_encoder_2',
    { projection_dim: 21 },
    /leaves 20 for the prompt.*"projection_dim" is 21/,
  ],
  ['too few statistics', 'vae', { latents_mean: [1, 2] }, /"latents_mean" has 2 numbers, but "latent_channels" is 4/],
  ['an inpainting UNet', 'unet', { in_channels: 9 }, /9 channels are for inpainting/],
];
for (const [what, component, keys, says] of misfits)
  test(`${what} is refused`, async (t) => {
    const { message } = await refusal(t, (folder) => setKeys(join(folder, component, 'config.json'), keys));
    assert.match(message, says);
  });

test('prompts of different lengths for the two text encoders are refused', async (t) => {
  const { code, message } = await refusal(t, (folder) =>
    setKeys(join(folder, 'tokenizer_2', 'tokenizer_config.json'), { model_max_length: 40 }),
  );
  assert.equal(code, 'invalid_config');
  assert.match(message, /its prompts have 40 tokens, but those of the first text encoder have 77/);
});

test('the model’s own defaults: guidance 5, the sample size, and zeros for an absent negative prompt unless told otherwise', async (t) => {
  const folder = copyOfBase(t, 'base-xl');
  const facts = async () => {
    await using model = await loadModel(cpuSettings(folder, { threads: 1 }), FAMILIES);
    return model.facts;
  };
  const before = await facts();
  assert.deepEqual(before.defaults, { guidanceScale: 5, scheduler: 'EulerDiscreteScheduler' });
  assert.deepEqual([before.defaultWidthPx, before.defaultHeightPx], [48, 48]);
  setKeys(join(folder, 'model_index.json'), { force_zeros_for_empty_prompt: false });
  setKeys(join(folder, 'unet', 'config.json'), { sample_size: [4, 6] });
  const after = await facts();
  assert.equal(after.defaults['negativePrompt'], '');
  assert.deepEqual([after.defaultWidthPx, after.defaultHeightPx], [48, 32]);
});

test('a UNet that reads no sizes refuses them by name, and draws without them', async (t) => {
  const folder = copyOfBase(t, 'base-xl');
  setKeys(join(folder, 'unet', 'config.json'), { addition_embed_type: null });
  const [drawn] = await drawDocuments(folder, [{ text: 'a', ...SMALL }]);
  assert.equal(drawn?.pixels.length, 1);
  await assert.rejects(drawDocuments(folder, [{ text: 'a', ...SMALL, original_size: [8, 8] }]), {
    code: 'invalid_parameter',
    message: /does not read "original_size"/,
  });
});
