/**
 * What must be computed in float32 inside a float16 graph: the statistics of GroupNorm and the scores of attention, whose sums float16 does not hold.
 * ONNX Runtime's CPU kernels run the graphs; what a GPU's kernels do is checked by `npm run bench:gpu`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiHeadAttention } from '../../src/networks/layers/attention.ts';
import { groupNorm } from '../../src/networks/layers/primitives.ts';
import { GraphBuilder, type Value } from '../../src/onnx/graph.ts';
import type { Weights } from '../../src/onnx/weights.ts';
import type { HostTensor } from '../../src/runtime/contract.ts';
import { float32 } from '../../src/runtime/tensors.ts';
import { runGraph } from './vectors.ts';

const LARGEST_FLOAT16 = 65504;

/** A norm without effect of its own: factors 1, shifts 0. */
function plainNorm(channels: number): Weights {
  const bytes = (value: number): Uint8Array => new Uint8Array(new Float32Array(channels).fill(value).buffer);
  return {
    component: 'test',
    names: () => ['norm.weight', 'norm.bias'],
    has: () => true,
    place: () => ({ dtype: 'F32', shape: [channels], file: '', offsetBytes: 0, lengthBytes: 4 * channels }),
    smallTensor: (name) => bytes(name === 'norm.weight' ? 1 : 0),
  };
}

function halves(length: number, value: (index: number) => number): Float32Array {
  return Float32Array.from(Float16Array.from({ length }, (_, index) => value(index)));
}

async function run(
  inputs: Readonly<Record<string, HostTensor>>,
  weights: Weights,
  write: (g: GraphBuilder, values: Readonly<Record<string, Value>>) => Value,
): Promise<Float32Array> {
  const g = new GraphBuilder(weights, 'float16');
  const values = Object.entries(inputs).map(
    ([name, { shape }]) => [name, g.cast(g.input(name, 'float32', shape, shape), 'float16')] as const,
  );
  const result = write(g, Object.fromEntries(values));
  g.output('y', result, [...result.shape]);
  const { y } = await runGraph(g.build('test'), inputs);
  return y?.data as Float32Array;
}

test('GroupNorm of numbers whose sum of squares float16 does not hold has mean 0 and deviation 1', async () => {
  const [channels, side] = [4, 48];
  const x = halves(channels * side * side, (index) => 300 + 20 * Math.sin(index * 1.7));
  assert.ok(x.reduce((sum, value) => sum + value ** 2, 0) > LARGEST_FLOAT16 * 1000, 'the sums are far beyond float16');
  const inputs = { x: float32(x, [1, channels, side, side]) };
  const y = await run(inputs, plainNorm(channels), (g, { x: value }) =>
    groupNorm(g, value as Value, 'norm', { groups: 2, epsilon: 1e-5 }),
  );
  for (const group of [0, 1]) {
    const size = y.length / 2;
    const part = y.subarray(group * size, (group + 1) * size);
    const mean = part.reduce((sum, value) => sum + value, 0) / size;
    const deviation = Math.sqrt(part.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size);
    assert.ok(Math.abs(mean) < 0.01 && Math.abs(deviation - 1) < 0.01, `mean ${mean}, deviation ${deviation}`);
  }
});

test('attention whose scores float16 does not hold picks the value of the best score, and no NaN', async () => {
  const [tokens, features] = [4, 64];
  // A token's query and key agree in all features with themselves alone: the score before its scale is 64 · 64 · 64.
  const sign = (token: number, feature: number): number => (((feature >> (token + 1)) & 1) === 0 ? 64 : -64);
  const rows = halves(tokens * features, (index) => sign(Math.floor(index / features), index % features));
  assert.ok(features * 64 * 64 > LARGEST_FLOAT16, 'a score is beyond float16');
  const value = halves(tokens * features, (index) => Math.floor(index / features) + 1);
  const shape = [1, tokens, features];
  const inputs = { query: float32(rows, shape), key: float32(rows, shape), value: float32(value, shape) };
  const y = await run(inputs, plainNorm(1), (g, { query, key, value: values }) =>
    multiHeadAttention(g, { query: query as Value, key: key as Value, value: values as Value, heads: 1 }),
  );
  for (let token = 0; token < tokens; token++)
    assert.equal(y[token * features], token + 1, `token ${token} got ${y[token * features]}`);
});
