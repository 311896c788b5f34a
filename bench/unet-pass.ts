/** One process: loads a UNet of full shape once and measures forward passes, batch 1. Prints one JSON line. Usage: unet-pass.ts SHAPE UNET_FOLDER CACHE_FOLDER|off THREADS PASSES [COMPUTE_TYPE [OPENVINO_FOLDER|- [float|int8 [OUTPUT_FILE]]]] */
import { writeFileSync } from 'node:fs';
import { openComponentWeights } from '../src/checkpoint/component-weights.ts';
import { UNET_2D_CONDITION_MODEL } from '../src/networks/unet-2d-condition-model.ts';
import { COMPUTE_TYPES } from '../src/onnx/compute-type.ts';
import { WEIGHT_TYPES } from '../src/onnx/weight-type.ts';
import { floatsOf } from '../src/runtime/tensors.ts';
import { DEFAULT_RUNTIME, openvinoIn } from '../src/runtime/registry.ts';
import { anonymousBytes, median, peakBytes, residentBytes, timeRuns } from './timing.ts';
import { configOf, inputsOf, isShapeName, SHAPES, sizesOf } from './unet-shapes.ts';

const [
  name = '',
  folder = '',
  cache = 'off',
  threads = '2',
  passes = '3',
  type = 'float32',
  libraries = '-',
  form = 'float',
  outputFile,
] = process.argv.slice(2);
const computeType = COMPUTE_TYPES.find((known) => known === type) ?? 'float32';
const weightType = WEIGHT_TYPES.find((known) => known === form) ?? 'float';
const runtime = libraries === '-' ? DEFAULT_RUNTIME : openvinoIn(libraries);
if (!isShapeName(name)) throw new Error(`no shape ${name}`);
const shape = SHAPES[name];
const startMs = performance.now();
const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'diffusion_pytorch_model' });
const graph = UNET_2D_CONDITION_MODEL.build({
  config: configOf(shape),
  weights,
  computeType,
  weightType,
  sizes: sizesOf(shape),
});
await using network = await runtime.open(graph, {
  device: 'cpu',
  computeType,
  threads: Number(threads),
  use: 'every-step',
  cache: {
    folder: cache === 'off' ? null : cache,
    onNote: (note) =>
      process.stderr.write(`${note}
`),
  },
});
const loadSeconds = (performance.now() - startMs) / 1000;
const inputs = inputsOf(shape);
// Loaded without a pass: passes 0 with a cache only fills it.
const first = Number(passes) > 0 || cache === 'off' ? await network.run(inputs) : undefined;
const resident = residentBytes();
if (outputFile !== undefined && first !== undefined) writeFileSync(outputFile, floatsOf(first, 'out_sample'));
const cpuBefore = process.cpuUsage();
const seconds = Number(passes) === 0 ? [] : await timeRuns(Number(passes), () => network.run(inputs));
const { user, system } = process.cpuUsage(cpuBefore);
// One more pass is not timed.
const cpuSeconds = (user + system) / 1e6 / (seconds.length + 1);
process.stdout.write(
  `${JSON.stringify({ loadSeconds, residentBytes: resident, anonymousBytes: anonymousBytes(), peakBytes: peakBytes(), weightBytes: graph.weightBytes, flops: graph.flops, graphBytes: graph.model.length, passSeconds: median(seconds), passes: seconds, cpuSeconds })}\n`,
);
