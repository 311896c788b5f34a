/**
 * The processor time of a pipeline outside its networks: a step of several images, and an image's decoding. The networks answer at once with numbers
 * that were made before, so everything that is measured is ours. It is the time that a fast GPU waits for.
 * Usage: `node --max-semi-space-size=4 bench/pipeline.ts [--images 8] [--steps 20] [--rounds 7] [--decoding-ms 13]`. The flag is the engine's. With
 * `--decoding-ms` the autoencoder takes so long, as on another thread.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { NetworkOpener } from '../src/engine/child/open-networks.ts';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.ts';
import type { Family } from '../src/pipelines/family.ts';
import type { Pipeline } from '../src/pipelines/contract.ts';
import { FAMILIES } from '../src/pipelines/registry.ts';
import { buildGraph } from '../src/pipelines/prove-fit.ts';
import { runJobs } from '../src/pipelines/run-jobs.ts';
import type { Network, Runtime, Tensors } from '../src/runtime/contract.ts';
import { float32, HeldTensor } from '../src/runtime/tensors.ts';
import { aRequest } from '../test/job/a-request.ts';
import { median } from './timing.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '8' },
    steps: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '7' },
    'decoding-ms': { type: 'string', default: '0' },
  },
});
const [images, steps, rounds] = [Number(values.images), Number(values.steps), Number(values.rounds)];
const decodingMs = Number(values['decoding-ms']);
const SIDE_PX = 512;
const GIB = 2 ** 30;
const SCHEDULERS = ['EulerDiscreteScheduler', 'DPMSolverMultistepScheduler', 'DDIMScheduler'];
const TOKENS = 77;

/** By the number of its elements: sines, so that it is an image, and the mean and deviation of a prediction. */
const made = new Map<number, Float32Array>();
function numbers(count: number): Float32Array {
  const known = made.get(count) ?? Float32Array.from({ length: count }, (_, index) => Math.sin(index * 0.37));
  made.set(count, known);
  return known;
}

function answer({ sample, latent_sample: latents, input_ids: tokens }: Tensors): Tensors {
  const outputOf = (shape: readonly number[]) =>
    float32(numbers(shape.reduce((product, size) => product * size, 1)), shape);
  if (sample !== undefined) return { out_sample: outputOf(sample.shape) };
  if (latents !== undefined) {
    const [, , height = 1, width = 1] = latents.shape;
    return { sample: outputOf([1, 3, height * 8, width * 8]) };
  }
  return { last_hidden_state: outputOf([tokens?.shape[0] ?? 1, TOKENS, 16]) };
}

const runtime: Pick<Runtime, 'open' | 'upload'> = {
  open: () =>
    Promise.resolve({
      // A cast: one function serves both signatures of `run`.
      run: (async (inputs: Tensors) => {
        if (decodingMs > 0 && inputs['latent_sample'] !== undefined) await pause(decodingMs);
        return answer(inputs);
      }) as Network['run'],
      rest: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  upload: (tensor) => Promise.resolve(new HeldTensor(tensor)),
};

const checkpoint = await openCheckpoint(fileURLToPath(new URL('../test/golden/base', import.meta.url)), {
  families: FAMILIES,
});
await using opener = new NetworkOpener({
  runtime,
  device: 'cuda:0',
  computeType: 'float16',
  graphOf: (component, wanted) => buildGraph(checkpoint, component, wanted),
  threads: 1,
  cache: { folder: null },
  memory: {
    livingAt: (component, wanted) => buildGraph(checkpoint, component, wanted).activationBytes,
    device: { memory: () => ({ freeBytes: 80 * GIB, totalBytes: 80 * GIB }) },
  },
});
const family: Family = checkpoint.family;
await using pipeline = await family.load(checkpoint, {
  open: opener.open,
  upload: opener.upload,
  shortage: opener.shortage,
  settings: { computeType: 'float16', vaeTiling: false },
});

/** Milliseconds of a step of all images, and of an image's decoding. */
async function draw(
  scheduler: string,
  measured: Pipeline,
): Promise<{ readonly stepMs: number; readonly decodeMs: number }> {
  const jobs = Array.from({ length: images }, (_, seed) => ({
    jobId: String(seed),
    request: aRequest({
      seed,
      scheduler,
      prompt: 'a red house',
      negativePrompt: 'blurry',
      guidanceScale: 7.5,
      numInferenceSteps: steps,
      widthPx: SIDE_PX,
      heightPx: SIDE_PX,
      numImages: 1,
    }),
    images: [],
    signal: new AbortController().signal,
  }));
  const passesEnd: number[] = [];
  const startsMs: number[] = [];
  await runJobs(measured, jobs, {
    maxBatchImages: images,
    yieldToEventLoop: async () => {
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
    observer: {
      onProgress: (_, { stage, pass }) => {
        if (stage === 'denoise' && pass === 1) startsMs.push(performance.now());
        if (stage === 'denoise' && pass === steps) passesEnd.push(performance.now());
      },
      onImage: () => undefined,
      onDone: () => undefined,
      onFailed: (_, error) => {
        throw error;
      },
    },
  });
  const endMs = performance.now();
  const [firstMs = 0, lastMs = 0] = [startsMs[0], passesEnd[0]];
  return { stepMs: (lastMs - firstMs) / (steps - 1), decodeMs: (endMs - lastMs) / images };
}

for (const scheduler of SCHEDULERS) {
  const drawn: Awaited<ReturnType<typeof draw>>[] = [];
  await draw(scheduler, pipeline);
  for (let round = 0; round < rounds; round++) drawn.push(await draw(scheduler, pipeline));
  const [stepMs, decodeMs] = [drawn.map((one) => one.stepMs), drawn.map((one) => one.decodeMs)].map(median);
  console.log(
    `${scheduler}: a step of ${images} images ${stepMs?.toFixed(2)} ms, decoding an image ${decodeMs?.toFixed(2)} ms`,
  );
}
