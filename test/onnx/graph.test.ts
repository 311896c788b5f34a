/** What a graph makes of weights and constants: of every stored type, wherever they lie, once each. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import type { Weights } from '../../src/onnx/weights.ts';
import { type ComputeType, GraphBuilder } from '../../src/onnx/graph.ts';
import { decodeModel, ELEMENT_TYPES } from '../../src/onnx/onnx-schema.ts';
import type { HostTensor } from '../../src/runtime/contract.ts';
import { float32 } from '../../src/runtime/tensors.ts';
import { type StoredTensor, writeTensors } from '../checkpoint/checkpoint-copies.ts';
import { runGraph } from '../networks/vectors.ts';

const place = mkdtempSync(join(tmpdir(), 'text2img-graph-'));
after(() => rmSync(place, { recursive: true, force: true }));

type Stored = 'F64' | 'F32' | 'F16' | 'BF16';

/** The numbers in a type of the file; bfloat16 is the upper half of a float32. */
function stored(dtype: Stored, shape: readonly number[], values: readonly number[]): StoredTensor {
  const arrays = {
    F64: () => new Float64Array(values),
    F32: () => new Float32Array(values),
    F16: () => new Float16Array(values),
    BF16: () => Uint16Array.from(new Uint32Array(new Float32Array(values).buffer), (bits) => bits >>> 16),
  };
  return { dtype, shape, data: Buffer.from(arrays[dtype]().buffer) };
}

function numbersOf(tensor: HostTensor | undefined): number[] {
  assert.ok(tensor !== undefined);
  return [...(tensor.data as Float32Array)];
}

let files = 0;

async function weightsOf(tensors: Readonly<Record<string, StoredTensor>>): Promise<Weights> {
  const folder = join(place, String(files++));
  mkdirSync(folder);
  writeTensors(join(folder, 'model.safetensors'), new Map(Object.entries(tensors)));
  return await openComponentWeights({ component: 'unet', folder, baseName: 'model' });
}

/** What the weight is in a graph of the compute type. */
async function readBack(weights: Weights, name: string, computeType: ComputeType): Promise<number[]> {
  const shape = weights.place(name).shape;
  const g = new GraphBuilder(weights, computeType);
  // A graph without an input is no network.
  const one = g.cast(g.input('one', 'float32', [1], [1]), computeType);
  g.output('y', g.node('Mul', [g.weight(name, shape), one], { shape }), shape);
  const { y } = await runGraph(g.build('weights'), { one: float32(Float32Array.of(1), [1]) });
  return numbersOf(y);
}

/** Numbers that each type holds exactly, the ends of float16's range among them. */
const EXACT = [0, -0, 1, -1.5, 0.15625, 2 ** -14, -(2 ** -24), 65280, -65280];

for (const dtype of ['F64', 'F32', 'F16', 'BF16'] as const) {
  for (const computeType of ['float32', 'float16'] as const) {
    test(`weights in ${dtype} are the same numbers in ${computeType}, in the graph and in their file`, async () => {
      const long = Array.from({ length: 1800 }, (_, index) => EXACT[index % EXACT.length] as number);
      const weights = await weightsOf({
        short: stored(dtype, [EXACT.length], EXACT),
        long: stored(dtype, [40, 45], long),
      });
      assert.deepEqual(await readBack(weights, 'short', computeType), EXACT);
      assert.deepEqual(await readBack(weights, 'long', computeType), long);
    });
  }
}

test('numbers that float16 does not hold are rounded to the nearest, to the even one of two', async () => {
  const values = [1 / 3, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2049, 2051, 65519, 2 ** -25, 3 * 2 ** -26, -1e-9];
  const weights = await weightsOf({ values: stored('F32', [values.length], values) });
  assert.deepEqual(await readBack(weights, 'values', 'float16'), [...new Float16Array(values)]);
});

test('weights in two files of two folders are found', async () => {
  const [a, b] = [
    await weightsOf({
      a: stored(
        'F32',
        [300],
        Array.from({ length: 300 }, (_, index) => index),
      ),
    }),
    await weightsOf({
      b: stored(
        'F32',
        [300],
        Array.from({ length: 300 }, (_, index) => 1000 * index),
      ),
    }),
  ];
  const owner = (name: string): Weights => (a.has(name) ? a : b);
  const both: Weights = {
    component: 'unet',
    names: () => [...a.names(), ...b.names()],
    has: (name) => a.has(name) || b.has(name),
    place: (name) => owner(name).place(name),
    // Both stay in their files.
    smallTensor: () => undefined,
  };
  const g = new GraphBuilder(both, 'float32');
  const one = g.input('one', 'float32', [1], [1]);
  const sum = g.node('Sum', [g.weight('a', [300]), g.weight('b', [300]), one], { shape: [300] });
  g.output('y', sum, [300]);
  const graph = g.build('two files');
  assert.deepEqual([graph.weightFiles.length, graph.weightBytes, graph.weightsFolder], [2, 2400, place]);
  const { y } = await runGraph(graph, { one: float32(Float32Array.of(1), [1]) });
  assert.deepEqual(numbersOf(y).slice(0, 3), [1, 1002, 2003]);
});

test('a matrix that was saved as a 1 × 1 convolution is the matrix', async () => {
  const weights = await weightsOf({ 'layer.weight': stored('F32', [2, 3, 1, 1], [1, 2, 3, 4, 5, 6]) });
  const g = new GraphBuilder(weights, 'float32');
  const x = g.input('x', 'float32', [1, 3], [1, 3]);
  const product = g.node('FusedMatMul', [x, g.weight('layer.weight', [2, 3])], {
    attributes: { transB: 1 },
    microsoft: true,
    shape: [1, 2],
  });
  g.output('y', product, [1, 2]);
  const { y } = await runGraph(g.build('matrix'), { x: float32(Float32Array.of(1, 10, 100), [1, 3]) });
  assert.deepEqual(numbersOf(y), [321, 654]);
});

test('a weight, its cast and a constant that are used twice stand in the graph once', async () => {
  const weights = await weightsOf({ w: stored('F32', [2], [3, 4]) });
  const g = new GraphBuilder(weights, 'float16');
  const x = g.cast(g.input('x', 'float32', [2], [2]), 'float16');
  let y = x;
  for (let round = 0; round < 3; round++) {
    y = g.node('Mul', [y, g.weight('w', [2])], { shape: [2] });
    y = g.node('Add', [y, g.constant([1, 2], [2])], { shape: [2] });
    y = g.node('Reshape', [y, g.integers([2])], { shape: [2] });
  }
  // The same numbers, another type and another shape.
  y = g.node('Add', [y, g.cast(g.constant([1, 2], [2], 'float32'), 'float16')], { shape: [2] });
  y = g.node('Add', [y, g.node('Reshape', [g.constant([1, 2], [1, 2]), g.integers([2])], { shape: [2] })], {
    shape: [2],
  });
  g.output('y', y, [2]);
  const { graph } = decodeModel(g.build('once').model);
  const types = ELEMENT_TYPES;
  assert.deepEqual(
    graph.initializer.map(({ dataType, dims }) => [dataType, dims]),
    [
      [types.float32, [2]],
      [types.float16, [2]],
      [types.int64, [1]],
      [types.float32, [2]],
      [types.float16, [1, 2]],
    ],
  );
  // Of the input, the weight, the constant and the output.
  assert.equal(graph.node.filter(({ opType }) => opType === 'Cast').length, 4);
  const result = await runGraph(g.build('once'), { x: float32(Float32Array.of(1, 1), [2]) });
  assert.deepEqual(numbersOf(result['y']), [42, 110]);
});
