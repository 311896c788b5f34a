/**
 * One process: text2img's own pass or image on one runtime, for `compare.ts`. It takes the task that the rivals take and prints the same report
 * (`bench/rivals/rival.py`). The networks are opened as the engine opens them.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.ts';
import { NetworkOpener } from '../src/engine/child/open-networks.ts';
import type { ComputeType } from '../src/onnx/graph.ts';
import { buildGraph } from '../src/pipelines/prove-fit.ts';
import { FAMILIES } from '../src/pipelines/registry.ts';
import type { Pipeline } from '../src/pipelines/contract.ts';
import { aRequest } from '../test/job/a-request.ts';
import { BENCH_FOLDER } from './checkpoints.ts';
import type { Task } from './compare.ts';
import { drawImage } from './draw-image.ts';
import { benchRuntimes } from './runtimes.ts';
import { peakBytes, timeRuns } from './timing.ts';
import { inputsOf, SHAPES } from './unet-shapes.ts';

const task = JSON.parse(process.argv[2] ?? '{}') as Task & { readonly runtime: string };
const runtime = benchRuntimes().find(({ name }) => name === task.runtime);
if (runtime === undefined) throw new Error(`no runtime ${task.runtime}`);
const startMs = performance.now();
const checkpoint = await openCheckpoint(task.checkpoint, { families: FAMILIES });
await using opener = new NetworkOpener({
  runtime,
  device: 'cpu',
  computeType: task.computeType,
  graphOf: (component, wanted) => buildGraph(checkpoint, component, wanted),
  threads: task.threads === availableParallelism() ? 0 : task.threads,
  cache: { folder: join(BENCH_FOLDER, 'compiled-compare'), verify: 'changed', limitBytes: undefined },
});
const run = task.task === 'pass' ? await unetPass() : await warmImage();
const loadSeconds = (performance.now() - startMs) / 1000;
// An image takes minutes, so no whole one is left uncounted.
const seconds = task.task === 'pass' ? await timeRuns(task.count, run) : await timeImages();
console.log(JSON.stringify({ loadSeconds, seconds, peakBytes: peakBytes() }));

async function unetPass(): Promise<() => Promise<unknown>> {
  const network = await opener.open('unet', { use: 'every-step' });
  const inputs = inputsOf(SHAPES[task.shape]);
  return () => network.run(inputs);
}

async function openPipeline(): Promise<Pipeline> {
  const settings = { computeType: task.computeType satisfies ComputeType, vaeTiling: false };
  return await checkpoint.family.load(checkpoint, { open: opener.open, upload: opener.upload, settings });
}

async function timeImages(): Promise<number[]> {
  const seconds: number[] = [];
  for (let index = 0; index < task.count; index++) {
    const beganMs = performance.now();
    await run();
    seconds.push((performance.now() - beganMs) / 1000);
  }
  return seconds;
}

/** One step first, and a shallow one: OpenVINO compiles a network when a size comes up for the first time, where the rivals compile when they load. */
async function warmImage(): Promise<() => Promise<void>> {
  const pipeline = await openPipeline();
  await imageOf(pipeline, task.deepCache === undefined ? 1 : 2)();
  return imageOf(pipeline, task.steps);
}

function imageOf(pipeline: Pipeline, numInferenceSteps: number): () => Promise<void> {
  const { prompt, negativePrompt, guidanceScale, sizePx, deepCache } = task;
  const size = { widthPx: sizePx, heightPx: sizePx };
  const asked = { prompt, negativePrompt, guidanceScale, numInferenceSteps, ...size, scheduler: 'euler' };
  const request = aRequest(deepCache === undefined ? asked : { ...asked, deepCache });
  return () => drawImage(pipeline, request);
}
