/** What is no image is never handed out: numbers that are not finite, or one colour everywhere. In lower precision it is drawn again in float32. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { readTokenizerFiles } from '../../../src/checkpoint/tokenizer-files.ts';
import { ClipTokenizer } from '../../../src/pipelines/parts/clip-tokenizer.ts';
import { KeptEmbeddings } from '../../../src/pipelines/parts/kept-embeddings.ts';
import type { Networks as LatentNetworks, TextEncoder } from '../../../src/pipelines/parts/networks.ts';
import type { JobImage } from '../../../src/pipelines/active-job.ts';
import { runJobs } from '../../../src/pipelines/run-jobs.ts';
import { LatentDiffusion } from '../../../src/pipelines/parts/latent-diffusion.ts';
import { STABLE_DIFFUSION_RGB_FACTORS } from '../../../src/pipelines/parts/latents-to-rgb.ts';
import { stableDiffusionConditioner } from '../../../src/pipelines/stable-diffusion/conditioner.ts';
import { HeldTensor } from '../../../src/runtime/tensors.ts';
import type { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { aRequest } from '../../job/a-request.ts';

const tokenizer = new ClipTokenizer(
  await readTokenizerFiles(fileURLToPath(new URL('../../../models/demo/tokenizer', import.meta.url)), 77),
);

const FACTOR = 16;

interface Networks extends LatentNetworks {
  readonly textEncoder: TextEncoder;
}

/** Networks by formula: embeddings of one feature, noise that is half of the latents, a picture that shows the latents. */
const GOOD: Networks = {
  textEncoder: {
    maxTokens: 77,
    layers: 12,
    encode: (ids) => Promise.resolve({ hiddenStates: Float32Array.from(ids) }),
  },
  denoiser: {
    latentChannels: 3,
    largestBranch: 0,
    upload: async (tensor) => new HeldTensor(tensor),
    predict: ({ sample }) => Promise.resolve(sample.map((value) => value / 2)),
    caching: () => assert.fail('no request caches features'),
  },
  vae: {
    scaleFactor: FACTOR,
    scalingFactor: 1,
    decode: (latents, [, height, width]) => {
      const pixels = height * width * FACTOR ** 2;
      return Promise.resolve(
        Float32Array.from({ length: 3 * pixels }, (_, index) => latents[Math.floor(index / FACTOR ** 2)] as number),
      );
    },
  },
};

type Decode = Networks['vae']['decode'];
const decodingTo = (change: (value: number, index: number, pixels: number) => number): Networks => ({
  ...GOOD,
  vae: {
    ...GOOD.vae,
    decode: async (...input: Parameters<Decode>) => {
      const good = await GOOD.vae.decode(...input);
      return good.map((value, index) => change(value, index, good.length / 3));
    },
  },
});
/** A UNet that overflows for the images whose first latent `isSpoilt` says. */
const overflowing = (isSpoilt: (first: number) => boolean): Networks => ({
  ...GOOD,
  denoiser: {
    ...GOOD.denoiser,
    predict: ({ sample, shape }) => {
      const size = sample.length / shape[0];
      return Promise.resolve(
        sample.map((value, index) => (isSpoilt(sample[index - (index % size)] as number) ? Number.NaN : value / 2)),
      );
    },
  },
});

interface Result {
  readonly images: readonly JobImage[];
  readonly warnings: readonly string[];
  readonly error: Text2ImgError | undefined;
}

interface Drawing {
  readonly full?: Networks;
  /** The autoencoder computes in float32 anyway. */
  readonly isVaeWide?: boolean;
  readonly size?: readonly [number, number];
  readonly seeds?: readonly number[];
}

async function draw(
  networks: Networks,
  { full, isVaeWide = false, size: [widthPx, heightPx] = [64, 64], seeds = [1] }: Drawing = {},
): Promise<Result[]> {
  const prompts = { tokenizer, textEncoder: networks.textEncoder, kept: new KeptEmbeddings() };
  const pipeline = new LatentDiffusion({
    ...networks,
    conditioner: stableDiffusionConditioner(
      full === undefined ? prompts : { ...prompts, fullPrecision: () => Promise.resolve(full.textEncoder) },
    ),
    ...(full && {
      fullPrecision: {
        denoiser: () => Promise.resolve(full.denoiser),
        ...(isVaeWide ? {} : { vae: () => Promise.resolve(full.vae) }),
      },
    }),
    rgbFactors: STABLE_DIFFUSION_RGB_FACTORS,
    scheduler: { configFor: () => ({ beta_schedule: 'scaled_linear', beta_start: 0.00085, beta_end: 0.012 }) },
  });
  const results = new Map(
    seeds.map((seed) => [
      String(seed),
      {
        images: [] as JobImage[],
        warnings: [] as readonly string[],
        error: undefined as Text2ImgError | undefined,
        ends: 0,
      },
    ]),
  );
  const of = (
    jobId: string,
  ): { images: JobImage[]; warnings: readonly string[]; error: Text2ImgError | undefined; ends: number } => {
    const result = results.get(jobId);
    assert.ok(result !== undefined);
    return result;
  };
  await runJobs(
    pipeline,
    seeds.map((seed) => ({
      jobId: String(seed),
      request: aRequest({
        prompt: 'a red circle',
        negativePrompt: '',
        seed,
        numInferenceSteps: 3,
        guidanceScale: 1,
        widthPx,
        heightPx,
        numImages: 1,
        scheduler: 'DDIMScheduler',
      }),
      images: [],
      signal: new AbortController().signal,
    })),
    {
      maxBatchImages: 4,
      yieldToEventLoop: () => Promise.resolve(),
      observer: {
        onProgress: (_, { step, steps }) => assert.ok(step <= steps, `step ${step} of ${steps}`),
        onImage: (jobId, image) => of(jobId).images.push(image),
        onDone: (jobId, warnings) => {
          of(jobId).warnings = warnings;
          of(jobId).ends++;
        },
        onFailed: (jobId, error) => {
          of(jobId).error = error;
          of(jobId).ends++;
        },
      },
    },
  );
  return seeds.map((seed) => {
    const result = of(String(seed));
    assert.equal(result.ends, 1, 'each job ends once');
    assert.equal(result.images.length, result.error === undefined ? 1 : 0, 'an image, or an error and none');
    return result;
  });
}

async function drawOne(networks: Networks, more: Drawing = {}): Promise<Result> {
  return (await draw(networks, more))[0] as Result;
}

const bad: readonly (readonly [title: string, networks: Networks, says: RegExp])[] = [
  [
    'embeddings with one infinite number',
    {
      ...GOOD,
      textEncoder: {
        maxTokens: 77,
        layers: 12,
        encode: () => Promise.resolve({ hiddenStates: new Float32Array(77).fill(-Infinity, 9, 10) }),
      },
    },
    /1 of the 77 numbers of the text encoder’s result for the prompt/,
  ],
  ['latents that overflow', overflowing(() => true), /48 of the 48 numbers of the latents after step 1 of 3/],
  ['one infinite pixel', decodingTo((value, index) => (index === 77 ? Infinity : value)), /1 of the 12288 numbers/],
  [
    'NaN in the blue channel only',
    decodingTo((value, index, pixels) => (index >= 2 * pixels ? Number.NaN : value)),
    /4096 of the 12288 numbers/,
  ],
  [
    'one colour everywhere, far outside of the visible',
    decodingTo((_, index, pixels) => Math.floor(index / pixels) * 1e6),
    /one colour everywhere/,
  ],
];
for (const [title, networks, says] of bad) {
  test(`${title}: invalid_image, and no image`, async () => {
    const { error } = await drawOne(networks);
    assert.equal(error?.code, 'invalid_image');
    assert.match(error.message, says);
  });
  test(`${title} in lower precision: drawn again in float32, with a warning`, async () => {
    const { error, images, warnings } = await drawOne(networks, { full: GOOD });
    assert.equal(error, undefined);
    assert.deepEqual(images, (await drawOne(GOOD)).images);
    assert.ok(
      warnings.length > 0 && warnings.every((sentence) => /again in float32/.test(sentence)),
      warnings.join(' '),
    );
  });
  test(`${title} in both precisions: invalid_image`, async () => {
    assert.equal((await drawOne(networks, { full: networks })).error?.code, 'invalid_image');
  });
}

test('what an autoencoder in float32 decodes to no image beside a UNet in lower precision is not decoded twice', async () => {
  let decoded = 0;
  const networks = decodingTo(() => Number.NaN);
  const counted: Networks = {
    ...networks,
    vae: {
      ...networks.vae,
      decode: (...latents) => {
        decoded++;
        return networks.vae.decode(...latents);
      },
    },
  };
  const { error } = await drawOne(counted, { full: counted, isVaeWide: true });
  assert.equal(error?.code, 'invalid_image');
  assert.equal(decoded, 1);
});

test('white, black and a picture of one other pixel are images', async () => {
  // Clamped to white or black, but not constant before.
  for (const offset of [100, -100]) {
    const { images, error } = await drawOne(decodingTo((value) => value / 10 + offset));
    assert.equal(error, undefined);
    assert.equal(new Set(images[0]?.image.pixels).size, 1);
  }
  assert.equal((await drawOne(decodingTo((_, index) => (index === 5 ? 1 : 0)))).error, undefined);
});

test('one image of a pass that overflows touches none of the others', async () => {
  const [good1, good3] = [await drawOne(GOOD, { seeds: [1] }), await drawOne(GOOD, { seeds: [3] })];
  let spoilt = Number.NaN;
  // The first number of the second image of the pass.
  const networks: Networks = {
    ...GOOD,
    denoiser: {
      ...GOOD.denoiser,
      predict: ({ sample, shape }) => {
        const size = sample.length / shape[0];
        if (shape[0] === 3) spoilt = sample[size] as number;
        return overflowing((first) => first === spoilt).denoiser.predict({
          sample,
          shape,
          timestep: 0,
          conditions: {},
        });
      },
    },
  };
  const [first, second, third] = await draw(networks, { seeds: [1, 2, 3] });
  assert.equal(second?.error?.code, 'invalid_image');
  assert.deepEqual([first?.images, third?.images], [good1.images, good3.images]);
});

test('a size that the autoencoder cannot draw is drawn smaller, with a warning; less than one latent is refused', async () => {
  const { images, warnings } = await drawOne(GOOD, { size: [72, 40] });
  assert.deepEqual([images[0]?.image.widthPx, images[0]?.image.heightPx], [64, 32]);
  assert.match(warnings[0] ?? '', /is 64×32 pixels, not 72×40: this model generates multiples of 16/);
  const { error } = await drawOne(GOOD, { size: [64, 8] });
  assert.equal(error?.code, 'invalid_parameter');
  assert.match(error.message, /"height" is 8; allowed are multiples of 8 from 16/);
});
