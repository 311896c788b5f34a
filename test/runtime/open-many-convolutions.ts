/**
 * `open-many-convolutions.ts FOLDER CACHE file|memory`: writes 48 weights of convolutions, 512 × 512 × 2 × 2 in float32, and waits for a byte. Then it
 * opens a graph that wants their inputs last, as CUDA does: from a file of the compile cache, or turned by the runtime in memory. It runs the graph.
 * It prints a line before and one after: `done`, or the error. `memory-of-opening.ts` measures its memory.
 */
import { mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { GraphBuilder } from '../../src/onnx/graph.ts';
import { openThroughCache } from '../../src/runtime/compile-cache.ts';
import { convertedForm } from '../../src/runtime/converted-form.ts';
import { createSession, type OnnxRuntimeSession } from '../../src/runtime/onnxruntime/session.ts';
import { float32 } from '../../src/runtime/tensors.ts';
import { writeTensors } from '../checkpoint/checkpoint-copies.ts';

const [, , folder, cache, way] = process.argv as [string, string, string, string, 'file' | 'memory'];
const SIDE = 512;
const SHAPE = [SIDE, SIDE, 2, 2];

await mkdir(folder, { recursive: true });
const data = Buffer.alloc(4 * SIDE * SIDE * 4, 1);
const names = Array.from({ length: 48 }, (_, k) => `convolution_${k}.weight`);
writeTensors(
  join(folder, 'model.safetensors'),
  new Map(names.map((name) => [name, { dtype: 'F32', shape: SHAPE, data }])),
);
const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'model' });
const g = new GraphBuilder(weights, 'float32', { form: 'fused', fusedDomain: 'text2img.fused' });
const x = g.input('x', 'float32', [SIDE, 1], [SIDE, 1]);
for (const name of names) {
  // On the left of a product ONNX Runtime reads a weight where it is.
  const weight = g.weight(name, SHAPE, { channelsLast: true });
  g.output(`${name}/y`, g.node('MatMul', [weight, x], { shape: [SIDE, 2, 2, 1] }), [SIDE, 2, 2, 1]);
}
const graph = g.build('many convolutions');
const { widening } = graph;
if (widening === undefined) throw new Error('the graph wants no other weights');
const settings = { provider: { name: 'cpu' }, threads: 1, spin: false } as const;
const open = (ready: BuiltGraph): Promise<OnnxRuntimeSession> => createSession(ready, settings);
{
  // The native library itself is no part of the measurement.
  const small = new GraphBuilder(weights, 'float32');
  small.output('y', small.cast(small.input('x', 'float32', [1], [1]), 'float16'), [1]);
  await using session = await open(small.build('small'));
  await session.run({ x: float32(Float32Array.of(1), [1]) });
}
process.stdout.write('ready\n');
await once(process.stdin, 'data');
try {
  const form = convertedForm({ key: 'test', graph, widening, open });
  await using session = await openThroughCache(graph, form, {
    folder: way === 'file' ? cache : null,
    minWeightBytes: 0,
  });
  await session.run({ x: float32(new Float32Array(SIDE), [SIDE, 1]) });
  process.stdout.write('done\n');
} catch (error) {
  process.stdout.write(`${String(error)}\n`);
}
