/** `--preview-vae`: a TAESD decodes the previews in the real engine child, for every family; one of other latents is refused at the start. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EngineHost } from '../../src/engine/engine-host.ts';
import type { EngineSettings } from '../../src/engine/protocol.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { MAX_PREVIEW_PX, type RawImage } from '../../src/job/raw-image.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import {
  STABLE_DIFFUSION_RGB_FACTORS,
  STABLE_DIFFUSION_XL_RGB_FACTORS,
} from '../../src/pipelines/parts/latents-to-rgb.ts';
import { linearTaesd } from '../checkpoint/linear-taesd.ts';
import { aRequest } from '../job/a-request.ts';
import { cpuSettings } from './cpu-settings.ts';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const DEMO = at('../../models/demo');
const golden = (name: string): string => at(`../golden/${name}`);
const SD = STABLE_DIFFUSION_RGB_FACTORS.rows;
const XL = STABLE_DIFFUSION_XL_RGB_FACTORS.rows;

function hostOf(t: TestContext, checkpoint: string, changes: Partial<EngineSettings>): EngineHost {
  const host = new EngineHost({ settings: cpuSettings(checkpoint, changes), logger: silentLogger });
  t.after(() => host.stop());
  return host;
}

const previewVae = (path: string) => ({ previewVae: { path, name: 'taesd' } });

interface Shown {
  readonly image: RawImage;
  readonly previews: readonly RawImage[];
}

/** With a preview at each step, or with none. */
async function generated(
  host: EngineHost,
  request: Partial<ResolvedGenerationRequest>,
  isWatched = true,
): Promise<Shown> {
  const { defaults } = await host.start();
  const scheduler = String(defaults['scheduler']);
  const whole = aRequest({
    prompt: 'a red house',
    negativePrompt: '',
    seed: 1,
    guidanceScale: 4,
    numImages: 1,
    scheduler,
    ...request,
  });
  const previews: RawImage[] = [];
  const [result] = host.generate([{ jobId: 'a', request: whole, images: [] }], {
    onProgress: (jobId) => {
      host.watch(jobId, false);
      host.watch(jobId, isWatched);
    },
    onPreview: (_, image) => previews.push(image),
  });
  const [image] = (await result).images;
  assert.ok(image !== undefined);
  return { image: image.image, previews };
}

/** Means of 8 × 8 pixels. */
function shrunk({ widthPx, heightPx, pixels }: RawImage): readonly number[] {
  const [width, height] = [widthPx / 8, heightPx / 8];
  return Array.from({ length: width * height * 3 }, (_, index) => {
    const [colour, x, y] = [index % 3, Math.floor(index / 3) % width, Math.floor(index / 3 / width)];
    let sum = 0;
    for (let dy = 0; dy < 8; dy++)
      for (let dx = 0; dx < 8; dx++) sum += pixels[((y * 8 + dy) * widthPx + x * 8 + dx) * 3 + colour] ?? 0;
    return sum / 64;
  });
}

for (const [checkpoint, rows] of [
  ['base', SD],
  ['base-sd2', SD],
  ['base-xl', XL],
  ['base-lcm', SD],
] as const)
  test(`${checkpoint}: previews come out of the TAESD at its size, with the colours of its own family's latents, and the image stays the same`, async (t) => {
    const size = { numInferenceSteps: 4, widthPx: 64, heightPx: 48 };
    const plain = await generated(hostOf(t, golden(checkpoint), {}), size);
    const shown = await generated(hostOf(t, golden(checkpoint), previewVae(linearTaesd(t, { rows }))), size);
    assert.deepEqual(shown.image, plain.image);
    const [last, linear] = [shown.previews.at(-1), plain.previews.at(-1)];
    assert.ok(last !== undefined && linear !== undefined);
    assert.deepEqual([last.widthPx, last.heightPx], [linear.widthPx * 8, linear.heightPx * 8]);
    // Both are the same linear function, but TAESD bends large latents, which random weights have, and adds no bias.
    const small = shrunk(last);
    const [a, b] = [centred(small), centred([...linear.pixels])];
    const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
    assert.ok(cosine > 0.7, `${cosine}`);
  });

function centred(values: readonly number[]): readonly number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

function dot(one: readonly number[], other: readonly number[]): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}

test('a preview of a large image is no larger than a preview may be, and its latents are means', async (t) => {
  const taesd = linearTaesd(t, { rows: SD });
  const size = { numInferenceSteps: 2, widthPx: 648, heightPx: 264 };
  const { previews } = await generated(hostOf(t, golden('base'), previewVae(taesd)), size);
  const [preview] = previews;
  // 81 × 33 latents, three by three of them become one.
  assert.deepEqual([preview?.widthPx, preview?.heightPx], [27 * 8, 11 * 8]);
  assert.ok(Math.max(preview?.widthPx ?? 0, preview?.heightPx ?? 0) <= MAX_PREVIEW_PX);
});

test('the demo checkpoint with its eight channels has TAESD previews too', async (t) => {
  const rows = Array.from({ length: 8 }, (_, channel) => [0, 1, 2].map((colour) => (channel % 3 === colour ? 0.4 : 0)));
  const size = { numInferenceSteps: 2, widthPx: 64, heightPx: 64 };
  const { previews } = await generated(hostOf(t, DEMO, previewVae(linearTaesd(t, { rows }))), size);
  assert.deepEqual([previews[0]?.widthPx, previews[0]?.heightPx], [64, 64]);
  assert.ok(new Set(previews[0]?.pixels).size > 8);
});

test('nobody who does not watch pays for it', async (t) => {
  const { previews } = await generated(
    hostOf(t, golden('base'), previewVae(linearTaesd(t, { rows: SD }))),
    { numInferenceSteps: 2, widthPx: 64, heightPx: 64 },
    false,
  );
  assert.deepEqual(previews, []);
});

for (const [about, checkpoint, taesd, code, message] of [
  [
    'of other channels',
    'base',
    { rows: [...SD, ...SD] },
    'unsupported_config',
    /^--preview-vae: the TAESD of ".*" decodes latents of 8 channels, but those of the model have 4\./,
  ],
  [
    'of the latents of XL',
    'base',
    { rows: XL },
    'unsupported_config',
    /^--preview-vae: the TAESD of ".*" was made for the latents of Stable Diffusion XL, and this model has other ones\./,
  ],
  [
    'of the latents of 1.x beside XL',
    'base-xl',
    { rows: SD },
    'unsupported_config',
    /was made for the latents of Stable Diffusion 1\.x and 2\.x,/,
  ],
  ['that makes no colours', 'base', { rows: SD, colours: 4 }, 'unsupported_config', /makes 4 channels; 3 are needed/],
] as const)
  test(`a TAESD ${about} ends the start with a sentence`, async (t) => {
    const host = hostOf(t, golden(checkpoint), previewVae(linearTaesd(t, taesd)));
    await assert.rejects(host.start(), { code, message });
  });

for (const [about, path, code, message] of [
  [
    'another class of autoencoder',
    golden('base/vae'),
    'unsupported_class',
    /^--preview-vae needs a TAESD: .*the vae class "AutoencoderKL" is not implemented; allowed: AutoencoderTiny\./,
  ],
  ['a folder without one', golden('base/unet'), 'unsupported_class', /"UNet2DConditionModel"/],
  ['no place', golden('nowhere'), 'model_not_found', /there is no folder or file/],
] as const)
  test(`${about} ends the start with a sentence`, async (t) => {
    await assert.rejects(hostOf(t, golden('base'), previewVae(path)).start(), { code, message });
  });

test('with one network at a time in memory previews are the linear ones, and a warning says so', async (t) => {
  const host = hostOf(t, golden('base'), { ...previewVae(linearTaesd(t, { rows: SD })), lowMemory: 'on' });
  const { previews } = await generated(host, { numInferenceSteps: 2, widthPx: 64, heightPx: 64 });
  assert.deepEqual([previews[0]?.widthPx, previews[0]?.heightPx], [8, 8]);
  assert.match(
    host.model.warnings.join(' '),
    /Previews are made without --preview-vae, because one network at a time is in memory\./,
  );
});
