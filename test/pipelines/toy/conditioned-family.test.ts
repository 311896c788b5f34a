/** Chunked prompts, pooled vectors, guidance as an input, packed latents and jobs that begin with an image go through the whole engine. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint.ts';
import { EngineHost } from '../../../src/engine/engine-host.ts';
import type { EngineJob } from '../../../src/engine/engine-job.ts';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { parsePromptDocument } from '../../../src/job/prompt-document.ts';
import { resolveRequest } from '../../../src/job/resolve-request.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import { type StoredTensor, writeTensors } from '../../checkpoint/checkpoint-copies.ts';
import { cpuSettings } from '../../engine/cpu-settings.ts';
import { CONDITIONED } from './conditioned-family.ts';

const CHILD = fileURLToPath(new URL('toy-engine-child.ts', import.meta.url));
const PLACES = 64;

function tensor(shape: readonly number[], values: readonly number[]): StoredTensor {
  return { dtype: 'F32', shape, data: Buffer.from(Float32Array.from(values).buffer) };
}

/** The byte b has the features (b, b / 2). Red is the first latent, green the second, blue nothing; the encoder takes red and green. */
function checkpoint(t: TestContext, { hasEncoder = true, second = false } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-toy-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const component = (name: string, tensors: Readonly<Record<string, StoredTensor>>): void => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'config.json'), '{}');
    writeTensors(join(folder, name, 'model.safetensors'), new Map(Object.entries(tensors)));
  };
  const text = {
    table: tensor(
      [256, 2],
      Array.from({ length: 512 }, (_, at) => (at % 2 === 0 ? at / 2 : (at - 1) / 4)),
    ),
  };
  component('text_encoder', text);
  if (second) component('text_encoder_2', text);
  component('transformer', {});
  component('vae', {
    'decoder.weight': tensor([3, 2, 1, 1], [1, 0, 0, 1, 0, 0]),
    'decoder.bias': tensor([3], [0, 0, 0]),
    ...(hasEncoder && {
      'encoder.weight': tensor([2, 3, 1, 1], [1, 0, 0, 0, 1, 0]),
      'encoder.bias': tensor([2], [0, 0]),
    }),
  });
  const index = {
    _class_name: 'ConditionedPipeline',
    text_encoder: ['toy', 'ConditionedTextEncoder'],
    tokenizer: ['toy', 'ByteTokenizer'],
    text_encoder_2: second ? ['toy', 'ConditionedTextEncoder'] : [null, null],
    tokenizer_2: [null, null],
    transformer: ['toy', 'ConditionedDenoiser'],
    vae: ['toy', 'ConditionedAutoencoder'],
  };
  writeFileSync(join(folder, 'model_index.json'), JSON.stringify(index));
  return folder;
}

type MakeJob = (jobId: string, document: Readonly<Record<string, unknown>>, images?: EngineJob['images']) => EngineJob;

async function start(t: TestContext, folder: string): Promise<{ readonly host: EngineHost; readonly job: MakeJob }> {
  const settings = cpuSettings(folder, { threads: 1 });
  const host = new EngineHost({ settings, logger: silentLogger, childPath: CHILD });
  t.after(() => host.stop());
  const model = await host.start();
  const options = { defaults: {}, model, limits: DEFAULT_LIMITS, seed: 0 };
  const job: MakeJob = (jobId, document, images = []) => {
    const { request } = parsePromptDocument(document, DEFAULT_LIMITS);
    return { jobId, images, request: resolveRequest(request, options) };
  };
  return { host, job };
}

/** Of the first pixel: after `passes` of n steps (1 − 1/n)^passes of the start is left. */
function expected(prompt: string, guidance: number, [red, green]: readonly [number, number], passes: number): number[] {
  const bytes = [...Buffer.from(prompt)];
  const padded = Math.max(1, Math.ceil(bytes.length / 4)) * 4;
  const target = (bytes[0] ?? 0) + bytes.reduce((sum, byte) => sum + byte, 0) / padded;
  const left = (1 - 1 / 4) ** passes;
  const end = (goal: number, begin: number): number => Math.round((goal + guidance) * (1 - left) + begin * left);
  return [end(target, red), end(target / 2, green), 0];
}

test('prompts of several chunks, guidance as an input and an image to begin with generate beside each other', async (t) => {
  const { host, job } = await start(t, checkpoint(t));
  const image = {
    widthPx: 8,
    heightPx: 8,
    channels: 3,
    pixels: Uint8Array.from({ length: 3 * PLACES }, (_, at) => [200, 40, 99][at % 3] as number),
  } as const;
  const jobs = [
    job('short', { text: '0', guidance_scale: 5 }),
    job('guided', { text: '!', guidance_scale: 0.5 }),
    job('long', { text: '012345' }),
    job('image', { text: '0', guidance_scale: 5 }, [image]),
  ];
  const progress: string[] = [];
  const [short, guided, long, from] = await Promise.all(
    host.generate(jobs, {
      onProgress: (id, { step, steps }) => void (id === 'image' && progress.push(`${step}/${steps}`)),
    }),
  );
  const first = (result: Awaited<typeof short> | undefined): number[] => [
    ...(result?.images[0]?.image.pixels.slice(0, 3) ?? []),
  ];
  assert.deepEqual(first(short), expected('0', 5, [0, 0], 4));
  assert.deepEqual(first(guided), expected('!', 0.5, [0, 0], 4));
  assert.deepEqual(first(long), expected('012345', 3, [0, 0], 4));
  assert.deepEqual(first(from), expected('0', 5, [200, 40], 2));
  assert.deepEqual(long?.warnings, ['2 chunks']);
  assert.equal(progress.at(-1), '4/4', 'two passes are four steps');
});

test('a checkpoint without the encoder generates from text, and a job with an image says what is missing', async (t) => {
  const { host, job } = await start(t, checkpoint(t, { hasEncoder: false }));
  const image = { widthPx: 8, heightPx: 8, channels: 3, pixels: new Uint8Array(3 * PLACES) } as const;
  const [text, from] = host.generate([job('text', { text: 'a' }), job('image', { text: 'a' }, [image])]);
  await assert.rejects(from, { code: 'missing_tensor', message: /encoder\.weight/ });
  assert.equal((await text).images.length, 1);
});

test('a component that may be missing is seen by the family’s proof where it is there', async (t) => {
  const opened = await openCheckpoint(checkpoint(t, { second: true }), { families: [CONDITIONED] });
  assert.throws(() => proveFit(opened), { code: 'unsupported_config', message: /text_encoder_2/ });
});
