/**
 * `open-many-weights.ts FOLDER TYPE CACHE float|int8 [onnxruntime-c | OPENVINO_FOLDER COMPUTE_TYPE]`: writes 48 matrices of 1024 × 1024 in a type of safetensors and waits for a
 * byte. Then it opens a graph that multiplies with all of them through the compile cache, and runs it. It prints a line before and one after: `done`, or
 * the code of the error. `memory-of-opening.ts` measures its memory.
 */
import { mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { linear } from '../../src/networks/layers/primitives.ts';
import { COMPUTE_TYPES } from '../../src/onnx/compute-type.ts';
import type { WeightType } from '../../src/onnx/weight-type.ts';
import { GraphBuilder } from '../../src/onnx/graph.ts';
import { DEFAULT_RUNTIME, ONNX_RUNTIME_C, openvinoIn } from '../../src/runtime/registry.ts';
import { float32 } from '../../src/runtime/tensors.ts';
import { writeTensors } from '../checkpoint/checkpoint-copies.ts';
import { openOnCpu } from './open-on-cpu.ts';

const [, , folder, dtype, cache, weightType, libraries, type] = process.argv as [
  string,
  string,
  string,
  'F32' | 'F16' | 'BF16',
  string,
  WeightType,
  string?,
  string?,
];
const runtime =
  libraries === undefined
    ? DEFAULT_RUNTIME
    : libraries === ONNX_RUNTIME_C.name
      ? ONNX_RUNTIME_C
      : openvinoIn(libraries);
const computeType = COMPUTE_TYPES.find((known) => known === type) ?? 'float32';
const SIDE = 1024;
const MATRICES = 48;

await mkdir(folder, { recursive: true });
const data = Buffer.alloc(SIDE * SIDE * (dtype === 'F32' ? 4 : 2), 1);
const names = Array.from({ length: MATRICES }, (_, k) => `matrix_${k}.weight`);
writeTensors(
  join(folder, 'model.safetensors'),
  new Map(names.map((name) => [name, { dtype, shape: [SIDE, SIDE], data }])),
);
const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'model' });
const g = new GraphBuilder(weights, computeType, { weightType });
let x = g.input('x', 'float32', [1, SIDE], [1, SIDE]);
for (const name of names)
  if (weightType === 'float') x = g.node('MatMul', [x, g.weight(name, [SIDE, SIDE])], { shape: [1, SIDE] });
  else x = linear(g, x, name.replace('.weight', ''), { outFeatures: SIDE, bias: false });
g.output('y', x, [1, SIDE]);
const graph = g.build('many weights');
{
  // The native library itself is no part of the measurement.
  const small = new GraphBuilder(
    {
      component: 'unet',
      names: () => [],
      has: () => false,
      place: () => {
        throw new Error('no weights');
      },
      smallTensor: () => undefined,
    },
    'float32',
  );
  small.output('y', small.cast(small.input('x', 'float32', [1], [1]), 'float16'), [1]);
  await using network = await openOnCpu(small.build('small'), undefined, runtime);
  await network.run({ x: float32(Float32Array.of(1), [1]) });
}
process.stdout.write('ready\n');
await once(process.stdin, 'data');
try {
  await using network = await openOnCpu(graph, { folder: cache, minWeightBytes: 0 }, runtime);
  await network.run({ x: float32(new Float32Array(SIDE), [1, SIDE]) });
  process.stdout.write('done\n');
} catch (error) {
  process.stdout.write(`${error instanceof Text2ImgError ? error.code : String(error)}\n`);
}
