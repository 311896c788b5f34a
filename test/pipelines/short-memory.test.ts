/** A pipeline that is told what fits: the rest is refused alone, in smaller passes or in tiles, and each image that fits has its usual bytes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { NetworkOpener } from '../../src/engine/child/open-networks.ts';
import type { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import type { Family, LoadTools } from '../../src/pipelines/family.ts';
import { buildGraph } from '../../src/pipelines/prove-fit.ts';
import { runJobs } from '../../src/pipelines/run-jobs.ts';
import { DEFAULT_RUNTIME } from '../../src/runtime/registry.ts';
import { copyOfBase, setKeys } from '../checkpoint/checkpoint-copies.ts';
import { openKnown } from '../checkpoint/open-known.ts';
import { aRequest } from '../job/a-request.ts';

interface Result {
  pixels: Uint8Array | undefined;
  warnings: readonly string[];
  error: Text2ImgError | undefined;
}

interface Drawing {
  readonly shortage?: NonNullable<LoadTools['shortage']>;
  readonly vaeTiling?: boolean;
  readonly maxBatchImages?: number;
}

async function draw(
  folder: string,
  sizesPx: readonly (readonly [width: number, height: number])[],
  { shortage, vaeTiling = false, maxBatchImages = 1 }: Drawing = {},
): Promise<readonly Result[]> {
  const checkpoint = await openKnown(folder);
  await using opener = new NetworkOpener({
    runtime: DEFAULT_RUNTIME,
    device: 'cpu',
    computeType: 'float32',
    graphOf: (component, wanted) => buildGraph(checkpoint, component, wanted),
    threads: 1,
    cache: { folder: null },
  });
  const family: Family = checkpoint.family;
  await using pipeline = await family.load(checkpoint, {
    open: opener.open,
    upload: opener.upload,
    settings: { computeType: 'float32', vaeTiling },
    ...(shortage === undefined ? {} : { shortage }),
  });
  const results = sizesPx.map((): Result => ({ pixels: undefined, warnings: [], error: undefined }));
  const requestOf = ([widthPx, heightPx]: readonly [number, number]): ResolvedGenerationRequest =>
    aRequest({
      prompt: 'a red circle',
      seed: 3,
      numInferenceSteps: 2,
      guidanceScale: 4,
      numImages: 1,
      widthPx,
      heightPx,
    });
  const { signal } = new AbortController();
  const jobs = sizesPx.map((size, index) => ({ jobId: String(index), request: requestOf(size), images: [], signal }));
  const change = (jobId: string, changes: Partial<Result>) => Object.assign(results[Number(jobId)] as Result, changes);
  await runJobs(pipeline, jobs, {
    maxBatchImages,
    yieldToEventLoop: () => Promise.resolve(),
    observer: {
      onProgress: () => undefined,
      onImage: (jobId, { image: { pixels } }) => change(jobId, { pixels }),
      onDone: (jobId, warnings) => change(jobId, { warnings }),
      onFailed: (jobId, error) => change(jobId, { error }),
    },
  });
  return results;
}

/** Runs of a network with more latents than these, all rows together, do not fit. */
function upTo(latents: Partial<Record<string, number>>): NonNullable<LoadTools['shortage']> {
  return (runs) => {
    const tooLarge = runs.some(
      ({ component, sizes: { batch = 1, height = 1, width = 1 } }) =>
        batch * height * width > (latents[component] ?? Infinity),
    );
    return tooLarge ? { needBytes: 4e9, freeBytes: 3e9 } : undefined;
  };
}

test('an image that does not fit is refused, and its neighbours have their usual bytes', async (t) => {
  const folder = copyOfBase(t);
  const sizes = [
    [64, 64],
    [512, 256],
    [64, 32],
  ] as const;
  const [first, refused, last] = await draw(folder, sizes, { shortage: upTo({ unet: 2 * 8 * 8 }) });
  const [plainFirst, , plainLast] = await draw(folder, sizes);
  assert.equal(refused?.error?.code, 'out_of_memory');
  assert.equal(
    refused.error.message,
    'an image of 512×256 pixels needs up to 4.0 GB, and 3.0 GB are free; 88×40 would fit.',
  );
  assert.deepEqual([first?.pixels, last?.pixels], [plainFirst?.pixels, plainLast?.pixels]);
  assert.deepEqual([first?.warnings, last?.warnings], [[], []]);
});

test('an image that fits only in tiles is decoded in them, as with --vae-tiling of that size, and says so', async (t) => {
  const folder = copyOfBase(t);
  const tile = 32;
  const [tiled] = await draw(folder, [[320, 256]], { shortage: upTo({ vae: tile * tile }) });
  assert.deepEqual(tiled?.warnings, [
    'Image 1 was decoded in tiles of 256×256 pixels, because it needs up to 4.0 GB otherwise, and 3.0 GB are free.',
  ]);
  setKeys(join(folder, 'vae/config.json'), { sample_size: 256 });
  const [asked] = await draw(folder, [[320, 256]], { vaeTiling: true });
  assert.deepEqual(tiled.pixels, asked?.pixels);
  const [whole] = await draw(folder, [[320, 256]]);
  assert.notDeepEqual(tiled.pixels, whole?.pixels, 'tiles change a few pixels');
});

test('a pass of several images that do not fit together is to be made again in smaller ones', async (t) => {
  const folder = copyOfBase(t);
  const sizes = [
    [64, 64],
    [64, 64],
  ] as const;
  const shortage = upTo({ unet: 2 * 8 * 8 });
  const together = await draw(folder, sizes, { shortage, maxBatchImages: 2 });
  assert.deepEqual(
    together.map(({ error }) => [error?.code, error?.consequence]),
    sizes.map(() => ['engine_out_of_memory', 'retry-alone']),
  );
  const alone = await draw(folder, sizes, { shortage, maxBatchImages: 1 });
  assert.ok(alone.every(({ pixels, error }) => pixels !== undefined && error === undefined));
});
