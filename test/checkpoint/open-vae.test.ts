/** Another autoencoder beside a checkpoint: a folder, a whole checkpoint, and files of each layout, all with the pixels of the same weights in place. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode } from 'fast-png';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { proveFit } from '../../src/pipelines/prove-fit.ts';
import {
  copyOfBase,
  editTensors,
  readTensors,
  setKeys,
  type StoredTensor,
  VAE,
  writeTensors,
} from './checkpoint-copies.ts';
import { openKnown } from './open-known.ts';
import { madeFile, madeFolder, madeVaeFile } from './single-file/make-file.ts';
import type { Drawn } from '../pipelines/collect-drawings.ts';
import { drawDocuments } from '../pipelines/draw-jobs.ts';

const GOLDEN = fileURLToPath(new URL('../golden', import.meta.url));
const REQUEST = { text: 'a red house', seed: 3, num_inference_steps: 2, width: 64, height: 48 };

async function pixels(folder: string, vae?: string): Promise<Drawn> {
  const [drawn] = await drawDocuments(folder, [REQUEST], vae === undefined ? {} : { vae });
  assert.ok(drawn !== undefined && drawn.error === undefined);
  return drawn;
}

function assertClose(drawn: Drawn | undefined, path: string): void {
  const expected = decode(readFileSync(path)).data;
  const image = drawn?.pixels[0] ?? new Uint8Array();
  assert.equal(image.length, expected.length, drawn?.error?.message);
  const largest = image.reduce((most, value, at) => Math.max(most, Math.abs(value - (expected[at] as number))), 0);
  assert.ok(largest <= 1, `differs by ${largest}`);
}

for (const [name, base] of [
  ['vae-tiny', 'base'],
  ['vae-no-mid-attention', 'base'],
  ['xl-vae-tiny', 'base-xl'],
] as const)
  test(`the folder of ${name} beside the base gives diffusers’ pixels`, async (t) => {
    const golden = JSON.parse(readFileSync(join(GOLDEN, name, 'case.json'), 'utf8')) as { request: object };
    const vae = join(GOLDEN, name, 'checkpoint', 'vae');
    const [drawn] = await drawDocuments(copyOfBase(t, base), [{ ...golden.request }], { vae });
    assertClose(drawn, join(GOLDEN, name, 'expected-1.png'));
  });

const FILES = fileURLToPath(new URL('../vae-files', import.meta.url));

interface FileCase {
  readonly about: string;
  readonly base: 'base' | 'base-xl';
  readonly request: Readonly<Record<string, unknown>>;
}

const files = readdirSync(FILES, { withFileTypes: true }).filter((entry) => entry.isDirectory());

test('there are files of each layout', () => assert.ok(files.length >= 7));

for (const { name } of files) {
  const { about, base, request } = JSON.parse(readFileSync(join(FILES, name, 'case.json'), 'utf8')) as FileCase;
  test(`${about}: every pixel is within 1/255 of diffusers`, async (t) => {
    const [drawn] = await drawDocuments(copyOfBase(t, base), [request], { vae: madeVaeFile(t, name) });
    assertClose(drawn, join(FILES, name, 'expected-1.png'));
  });
}

test('the folder of a whole checkpoint stands for its autoencoder', async (t) => {
  const [folder, other] = [copyOfBase(t), copyOfBase(t)];
  const expected = await pixels(folder);
  rmSync(join(folder, 'vae'), { recursive: true });
  assert.deepEqual(await pixels(folder, other), expected);
  assert.deepEqual(await pixels(folder, join(other, 'vae')), expected);
});

test('a file in the diffusers layout has its structure in its tensors, and the scale of the model’s own', async (t) => {
  const [folder, other] = [copyOfBase(t), copyOfBase(t)];
  const expected = await pixels(folder);
  editTensors(join(folder, VAE), (tensors) => tensors.clear());
  assert.deepEqual(await pixels(folder, join(other, VAE)), expected);
});

for (const prefix of ['first_stage_model.', ''])
  test(`a file in the original layout ${prefix === '' ? 'without' : 'with'} its prefix`, async (t) => {
    const folder = madeFolder(t, 'sd-1');
    const whole = madeFile(t, 'sd-1');
    const expected = await pixels(folder);
    const own = [...readTensors(whole)].filter(([name]) => name.startsWith('first_stage_model.'));
    const file = join(dirname(whole), 'vae.sft');
    writeTensors(
      file,
      new Map(own.map(([name, tensor]) => [prefix + name.slice('first_stage_model.'.length), tensor])),
    );
    rmSync(join(folder, 'vae', 'diffusion_pytorch_model.safetensors'));
    assert.deepEqual(await pixels(folder, file), expected);
  });

test('a checkpoint of one file without an autoencoder is used with one', async (t) => {
  const isVae = (name: string): boolean => name.startsWith('first_stage_model.');
  const whole = madeFile(t, 'sd-1');
  const without = madeFile(t, 'sd-1', (tensors) => {
    for (const name of tensors.keys()) if (isVae(name)) tensors.delete(name);
  });
  await assert.rejects(openKnown(without), { code: 'unsupported_class', message: /name one with --vae/ });
  const expected = await pixels(whole);
  // Its scale is the family's, and so is that of the whole file.
  assert.deepEqual((await pixels(without, whole)).pixels, expected.pixels);
  assert.deepEqual((await pixels(whole, join(madeFolder(t, 'sd-1'), 'vae'))).pixels, expected.pixels);
});

for (const [what, rename] of [
  ['in the diffusers layout', (name: string) => name],
  [
    'of its own decoder',
    (name: string) => name.replace(/^decoder\.layers\.(\d+)/, (_, layer: string) => `${Number(layer) + 1}`),
  ],
  [
    'with both halves',
    (name: string) =>
      name.replace(/^decoder\.layers\.(\d+)/, (_, layer: string) => `taesd_decoder.${Number(layer) + 1}`),
  ],
] as const)
  test(`a file of TAESD ${what}`, async (t) => {
    const folder = copyOfBase(t);
    const taesd = join(GOLDEN, 'vae-tiny', 'checkpoint', 'vae');
    const tensors = readTensors(join(taesd, 'diffusion_pytorch_model.safetensors'));
    const file = join(folder, 'taesd.safetensors');
    const own = new Map<string, StoredTensor>();
    for (const [name, tensor] of tensors) if (name.startsWith('decoder.')) own.set(rename(name), tensor);
    writeTensors(file, own);
    assert.deepEqual(await pixels(folder, file), await pixels(folder, taesd));
  });

/** As few-step models are used: without guidance, in 1 to 4 steps, by the scheduler that each of them is published with. */
const FEW_STEPS = [
  ['SD-Turbo', 'sd-turbo', 'tiny-decoder', { num_inference_steps: 1, guidance_scale: 0 }],
  [
    'Stable Diffusion 1.5 with LCM in it',
    'sd-1',
    'tiny',
    { num_inference_steps: 4, guidance_scale: 1, scheduler: 'lcm' },
  ],
  [
    'SDXL-Turbo',
    'xl',
    'xl-tiny-decoder',
    { num_inference_steps: 1, guidance_scale: 0, scheduler: 'euler_ancestral', schedule_type: 'sgm_uniform' },
  ],
  [
    'SDXL-Lightning',
    'xl',
    'xl-tiny-decoder',
    { num_inference_steps: 4, guidance_scale: 0, scheduler: 'euler', schedule_type: 'sgm_uniform' },
  ],
] as const;
for (const [model, file, taesd, few] of FEW_STEPS)
  test(`TAESD beside a file of ${model} decodes as beside the same model in a folder`, async (t) => {
    const request = { ...REQUEST, ...few };
    const vae = madeVaeFile(t, taesd);
    const [drawn] = await drawDocuments(madeFile(t, file), [request], { vae });
    assert.deepEqual([drawn?.error, drawn?.pixels.length], [undefined, 1]);
    const [inFolder] = await drawDocuments(madeFolder(t, file), [request], { vae });
    assert.deepEqual(drawn?.pixels, inFolder?.pixels);
    const [own] = await drawDocuments(madeFile(t, file), [request]);
    assert.equal(own?.pixels[0]?.length, drawn?.pixels[0]?.length);
    assert.notDeepEqual(own?.pixels, drawn?.pixels);
  });

async function warningsOf(folder: string, vae: string): Promise<readonly string[]> {
  const checkpoint = await openKnown(folder, { vae });
  proveFit(checkpoint);
  return checkpoint.warnings;
}

test('a scale of another family is warned of once; TAESD, which has none, is not', async (t) => {
  const [folder, other] = [copyOfBase(t), copyOfBase(t)];
  setKeys(join(other, 'vae/config.json'), { scaling_factor: 0.13025 });
  const scaling = (await warningsOf(folder, other)).filter((warning) => warning.includes('scaling_factor'));
  assert.equal(scaling.length, 1);
  assert.match(scaling[0] ?? '', /"scaling_factor" is 0\.13025, and the model's own autoencoder has 0\.18215/);
  const taesd = await warningsOf(folder, join(GOLDEN, 'vae-tiny', 'checkpoint', 'vae'));
  assert.deepEqual(
    taesd.filter((warning) => warning.includes('scaling_factor')),
    [],
  );
});

for (const [model, vae, given, expected] of [
  ['sd-1', 'xl', '0.13025', '0.18215'],
  ['xl', 'sd-1', '0.18215', '0.13025'],
  ['xl', 'xl-playground', '0.5', '0.13025'],
] as const)
  test(`a whole file of ${vae} beside ${model} has the scale of its own family, with one warning`, async (t) => {
    for (const folder of [madeFile(t, model), madeFolder(t, model)]) {
      const scaling = (await warningsOf(folder, madeFile(t, vae))).filter((one) => one.includes('scaling_factor'));
      assert.equal(scaling.length, 1);
      const says = `${vae}.safetensors: "scaling_factor" is ${given}, and the model's own autoencoder has ${expected}.`;
      assert.ok(scaling[0]?.includes(says), scaling[0]);
    }
  });

for (const [model, vae] of [
  ['sd-1', 'sd-2'],
  ['xl', 'xl-vega'],
] as const)
  test(`a whole file of ${vae} beside ${model} has the same scale, without a warning`, async (t) => {
    const warnings = await warningsOf(madeFile(t, model), madeFile(t, vae));
    assert.deepEqual(
      warnings.filter((one) => one.includes('scaling_factor')),
      [],
    );
  });

const refused: readonly (readonly [
  what: string,
  make: (t: TestContext, folder: string) => string,
  code: string,
  says: RegExp,
])[] = [
  ['nothing', (_, folder) => join(folder, 'missing'), 'model_not_found', /there is no folder or file ".*missing"/],
  ['a folder without a configuration', (_, folder) => join(folder, 'tokenizer'), 'model_not_found', /config\.json/],
  [
    'a folder of another network',
    (_, folder) => join(folder, 'unet'),
    'unsupported_class',
    /vae class "UNet2DConditionModel".*AutoencoderKL, AutoencoderTiny/,
  ],
  [
    'a file of another network',
    (_, folder) => join(folder, 'unet/diffusion_pytorch_model.safetensors'),
    'unsupported_class',
    /has no autoencoder \(VAE\)/,
  ],
  [
    'a pickle',
    (_, folder) => {
      writeFileSync(join(folder, 'vae.ckpt'), Buffer.from('PK\u0003\u0004 a zip of pickles'));
      return join(folder, 'vae.ckpt');
    },
    'unsafe_weights',
    /pickle/,
  ],
  [
    'an autoencoder of 8 latent channels',
    () => join(GOLDEN, 'latents-8-vae-3-blocks', 'checkpoint', 'vae'),
    'unsupported_config',
    /"in_channels" is 4, but the autoencoder’s "latent_channels" is 8/,
  ],
  [
    'an empty folder',
    (_, folder) => {
      mkdirSync(join(folder, 'empty'));
      return join(folder, 'empty');
    },
    'model_not_found',
    /empty.config\.json/,
  ],
];
for (const [what, make, code, says] of refused)
  test(`${what} in the place of the autoencoder is refused with ${code}`, async (t) => {
    const folder = copyOfBase(t);
    const vae = make(t, folder);
    await assert.rejects(warningsOf(folder, vae), (error: unknown) => {
      assert.ok(error instanceof Text2ImgError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      return true;
    });
  });
