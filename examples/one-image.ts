/**
 * Generates one image with the demo model in this process, so that a debugger needs no second one. The engine child calls the same functions.
 * Usage: npx node [--inspect-brk] examples/one-image.ts [OUTPUT.png [MODEL_FOLDER [PROMPT]]]
 *
 * Places for a breakpoint, in order: `openCheckpoint` (files), `proveFit` (do they fit together), `NetworkOpener.open` (graph and runtime),
 * `JobsRun.#pass` (one pass of the denoising network), a scheduler's `step`, `encodePng`.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../src/engine/child/load-model.ts';
import { encodePng } from '../src/image/encode-png.ts';
import { DEFAULT_LIMITS } from '../src/job/limits.ts';
import { resolveRequest } from '../src/job/resolve-request.ts';
import { FAMILIES } from '../src/pipelines/registry.ts';
import type { JobImage } from '../src/pipelines/active-job.ts';
import { runJobs } from '../src/pipelines/run-jobs.ts';

const DEMO = fileURLToPath(new URL('../models/demo', import.meta.url));
const [output = 'one-image.png', modelFolder = DEMO, prompt = 'a red circle on a white background'] =
  process.argv.slice(2);

// The checkpoint, its family, and its networks on the processor. Without a compile cache each start builds every graph.
await using model = await loadModel(
  {
    checkpointFolder: modelFolder,
    modelName: null,
    variant: null,
    device: 'cpu',
    dtype: 'auto',
    threads: 0,
    vaeTiling: false,
    lowMemory: 'off',
    compileCacheFolder: null,
    verifyCache: 'changed',
  },
  FAMILIES,
);

// What the prompt leaves open comes from the model.
const stated = { prompt, numInferenceSteps: 20 };
const request = resolveRequest(stated, { defaults: {}, model: model.facts, limits: DEFAULT_LIMITS, seed: 0 });

const images: JobImage[] = [];
await runJobs(model.pipeline, [{ jobId: 'one', request, images: [], signal: new AbortController().signal }], {
  observer: {
    onProgress: (_, { stage, step, steps }) => void process.stderr.write(`${stage} ${step}/${steps}\n`),
    onImage: (_, image) => void images.push(image),
    onDone: (_, warnings) => warnings.forEach((warning) => process.stderr.write(`warning: ${warning}\n`)),
    onFailed: (_, error) => {
      throw error;
    },
  },
  maxBatchImages: 1,
  yieldToEventLoop: async () => undefined,
});

for (const { seed, image } of images) {
  const { pixels: rgb, widthPx, heightPx } = image;
  const { modelName, modelHash } = model.facts;
  const parameters = { ...request, seed, widthPx, heightPx, modelName, modelHash };
  await writeFile(output, await encodePng({ rgb, widthPx, heightPx, parameters }));
  process.stdout.write(`${output}\n`);
}
