/**
 * A family without UNet, CLIP, latents, scheduler or guidance goes all the way: folder, facts, request, engine process, batches, image. It needs its own
 * file and a line in a list; nothing in `src/` knows of it.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TestContext, test } from 'node:test';
import { EngineHost } from '../../../src/engine/engine-host.ts';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import type { RawImage } from '../../../src/job/raw-image.ts';
import { resolveRequest } from '../../../src/job/resolve-request.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { TorchCpuGenerator } from '../../../src/noise/torch-cpu-random.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { writeTensors } from '../../checkpoint/checkpoint-copies.ts';
import { cpuSettings } from '../../engine/cpu-settings.ts';
import { TOY } from './toy-family.ts';

const CHILD = fileURLToPath(new URL('toy-engine-child.ts', import.meta.url));
const SIDE_PX = 16;
/** The letter r is red, g green, b blue. */
const COLOURS = new Map(['r', 'g', 'b'].map((letter, channel) => [letter.charCodeAt(0), channel]));

function toyCheckpoint(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-toy-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const index = { _class_name: 'ToyPipeline', painter: ['toy', 'ToyPainter'], bytes: ['toy', 'ByteTokenizer'] };
  writeFileSync(join(folder, 'model_index.json'), JSON.stringify(index));
  mkdirSync(join(folder, 'painter'));
  writeFileSync(join(folder, 'painter/config.json'), JSON.stringify({ side_px: SIDE_PX }));
  const colours = Float32Array.from({ length: 256 * 3 }, (_, at) =>
    COLOURS.get(Math.floor(at / 3)) === at % 3 ? 255 : 0,
  );
  const tensor = { dtype: 'F32', shape: [256, 3], data: Buffer.from(colours.buffer) };
  writeTensors(join(folder, 'painter/model.safetensors'), new Map([['colours.weight', tensor]]));
  return folder;
}

async function startEngine(t: TestContext): Promise<EngineHost> {
  const settings = cpuSettings(toyCheckpoint(t), { threads: 1 });
  const host = new EngineHost({ settings, logger: silentLogger, childPath: CHILD });
  t.after(() => host.stop());
  await host.start();
  return host;
}

/** What the arithmetic of the family comes to: after n passes (1 − 1/n)ⁿ of the noise is left. */
function expected(target: readonly number[], seed: number, steps: number): number[] {
  const count = SIDE_PX ** 2;
  const noise = new TorchCpuGenerator(seed).next(3 * count);
  const left = (1 - 1 / steps) ** steps;
  return Array.from({ length: 3 * count }, (_, at) => {
    const channel = at % 3;
    const start = 128 + 32 * (noise[channel * count + Math.floor(at / 3)] as number);
    const value = (target[channel] as number) * (1 - left) + start * left;
    return Math.min(Math.max(Math.round(value), 0), 255);
  });
}

function assertNear({ pixels }: RawImage, wanted: readonly number[]): void {
  const far = wanted.reduce((most, value, at) => Math.max(most, Math.abs(value - (pixels[at] as number))), 0);
  assert.ok(far <= 1, `a pixel differs by ${far}`);
}

test('a family of its own generates through the whole engine: documents to pixels, several jobs at once', async (t) => {
  const host = await startEngine(t);
  const facts = await host.start();
  assert.equal(facts.pipelineClass, 'ToyPipeline');
  assert.deepEqual([facts.defaultWidthPx, facts.defaultHeightPx, facts.dtype], [SIDE_PX, SIDE_PX, 'float32']);
  const resolve = (document: Record<string, unknown>): ReturnType<typeof resolveRequest> =>
    resolveRequest(parsePromptDocument(document, DEFAULT_LIMITS).request, {
      defaults: { guidanceScale: 7, scheduler: 'DDIMScheduler' },
      model: facts,
      limits: DEFAULT_LIMITS,
      seed: 0,
    });
  const jobs = [
    { text: 'r', seed: 1, num_inference_steps: 4, num_images: 2 },
    { text: 'rrb', seed: 5, num_inference_steps: 4 },
    { text: 'x', seed: 9, num_inference_steps: 3 },
  ].map((document, index) => ({ jobId: String(index), request: resolve(document), images: [] }));
  const progress: number[] = [];
  const results = await Promise.all(
    host.generate(jobs, { onProgress: (jobId, { step }) => void (jobId === '0' && progress.push(step)) }),
  );
  const [red, mixed, black] = results;
  assert.deepEqual(
    red?.images.map(({ seed }) => seed),
    [1, 2],
  );
  for (const { seed, image } of red?.images ?? []) assertNear(image, expected([255, 0, 0], seed, 4));
  assertNear(mixed?.images[0]?.image as RawImage, expected([170, 0, 85], 5, 4));
  assertNear(black?.images[0]?.image as RawImage, expected([0, 0, 0], 9, 3));
  assert.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
  );
  assert.equal(progress.at(-1), 8);
  for (const stage of ['encode', 'denoise', 'decode'] as const)
    for (const result of results) assert.ok((result.durationsMs[stage] ?? -1) >= 0, stage);
});

test('a document that states a field of another family is refused by its name', async (t) => {
  const host = await startEngine(t);
  const facts = await host.start();
  const { request } = parsePromptDocument({ text: 'r', guidance_scale: 3 }, DEFAULT_LIMITS);
  assert.throws(
    () => resolveRequest(request, { defaults: {}, model: facts, limits: DEFAULT_LIMITS, seed: 0 }),
    (error) =>
      error instanceof Text2ImgError && error.code === 'invalid_parameter' && /guidance_scale/.test(error.message),
  );
});

test('what the family refuses fails that job alone; a job that is cancelled ends; a watched job shows previews', async (t) => {
  const host = await startEngine(t);
  const facts = await host.start();
  const job = (jobId: string, text: string, steps: number): Parameters<EngineHost['generate']>[0][number] => ({
    jobId,
    images: [],
    request: resolveRequest(parsePromptDocument({ text, num_inference_steps: steps }, DEFAULT_LIMITS).request, {
      defaults: {},
      model: facts,
      limits: DEFAULT_LIMITS,
      seed: 0,
    }),
  });
  const previews: RawImage[] = [];
  const [long, cancelled, good] = host.generate(
    [job('long', 'r'.repeat(1001), 2), job('cancelled', 'r', 400), job('good', 'g', 50)],
    {
      onPreview: (_, image) => previews.push(image),
      onProgress: (jobId, { stage }) => {
        if (jobId === 'cancelled' && stage === 'denoise') host.cancel('cancelled');
      },
    },
  );
  host.watch('good', true);
  await assert.rejects(long, /1001 bytes; allowed are 1 to 1000/);
  await assert.rejects(cancelled, (error) => error instanceof Text2ImgError && error.code === 'cancelled');
  assert.equal((await good)?.images.length, 1);
  assert.ok(previews.length > 0);
  assert.deepEqual(
    previews.map(({ widthPx, heightPx, channels }) => [widthPx, heightPx, channels]),
    previews.map(() => [SIDE_PX, SIDE_PX, 3]),
  );
});

test('opening and proving take the family’s list: a missing tensor and another family’s class are refused', async (t) => {
  const folder = toyCheckpoint(t);
  const checkpoint = await openCheckpoint(folder, { families: [...FAMILIES, TOY] });
  assert.equal(checkpoint.family.name, 'toy');
  assert.deepEqual(checkpoint.family.describe(checkpoint as never), { sidePx: SIDE_PX });
  proveFit(checkpoint);
  await assert.rejects(
    openCheckpoint(folder, { families: FAMILIES }),
    (error) => error instanceof Text2ImgError && error.code === 'unsupported_class',
  );
  writeTensors(join(folder, 'painter/model.safetensors'), new Map());
  const empty = await openCheckpoint(folder, { families: [...FAMILIES, TOY] });
  assert.throws(
    () => proveFit(empty),
    (error) => error instanceof Text2ImgError && error.code === 'missing_tensor',
  );
});
