/** Each function of `src/networks/layers` against the module of torch or diffusers that it stands for, and in float16 against itself in float32. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as attention from '../../../src/networks/layers/attention.ts';
import * as primitives from '../../../src/networks/layers/primitives.ts';
import * as resnet from '../../../src/networks/layers/resnet-block-2d.ts';
import * as timestep from '../../../src/networks/layers/timestep-embedding.ts';
import * as transformer from '../../../src/networks/layers/transformer-2d.ts';
import { type BuiltGraph, type ComputeType, GraphBuilder, type Value } from '../../../src/onnx/graph.ts';
import { assertClose, nominalShape, readVectors, runGraph, type VectorCase } from '../vectors.ts';

/** A share of the largest number of a result. Measured on a CPU with AVX2: 8e-7, by `group-norm-far`, where torch in float32 loses as much. */
const TOLERANCE = 1e-5;
/**
 * Three of the 160 frequencies differ from torch's in their last bit, because its `exp` computes eight at once. The timestep multiplies that.
 * Measured: 1.5e-5 and 5.9e-5.
 */
const TOLERANCES: Readonly<Record<string, number>> = {
  'timestep-projection-320-cos-0-261': 3e-5,
  'timestep-projection-320-cos-0-999': 1e-4,
};
/** Measured: 8e-4, by `transformer-layers`. ONNX Runtime's x86 kernels compute most of it in float32; others round each value to 11 bits. */
const FLOAT16_TOLERANCE = 1e-2;

type Inputs = Readonly<Record<string, Value>>;
/** What the functions take, of all of them. */
type Options = primitives.ConvOptions &
  primitives.LinearOptions &
  attention.AttentionOptions &
  resnet.ResnetBlockOptions &
  timestep.TimestepProjectionOptions &
  Omit<transformer.Transformer2dOptions, 'encoderHiddenStates'> & {
    readonly axis: number;
    readonly divisor: number;
    readonly padding: number;
  };
type Write = (g: GraphBuilder, inputs: Inputs, options: Options) => Value | Readonly<Record<string, Value>>;

const at = (inputs: Inputs, name: string): Value => inputs[name] as Value;

/** Function under test → how it is called with a case's inputs and options. Weights are called `layer.…` in the vectors. */
const OPERATIONS: Readonly<Record<string, Write>> = {
  conv2d: (g, inputs, options) => primitives.conv2d(g, at(inputs, 'x'), 'layer', options),
  linear: (g, inputs, options) => primitives.linear(g, at(inputs, 'x'), 'layer', options),
  add: (g, inputs) => primitives.add(g, at(inputs, 'a'), at(inputs, 'b')),
  multiply: (g, inputs) => primitives.multiply(g, at(inputs, 'a'), at(inputs, 'b')),
  divideBy: (g, inputs, { divisor }) => primitives.divideBy(g, at(inputs, 'x'), divisor),
  layerNorm: (g, inputs, { epsilon }) => primitives.layerNorm(g, at(inputs, 'x'), 'layer', epsilon),
  groupNorm: (g, inputs, options) => primitives.groupNorm(g, at(inputs, 'x'), 'layer', options),
  silu: (g, inputs) => primitives.silu(g, at(inputs, 'x')),
  quickGelu: (g, inputs) => primitives.quickGelu(g, at(inputs, 'x')),
  mish: (g, inputs) => primitives.mish(g, at(inputs, 'x')),
  relu: (g, inputs) => primitives.relu(g, at(inputs, 'x')),
  activate: (g, inputs, { activation = 'silu' }) => primitives.activate(g, at(inputs, 'x'), activation),
  gelu: (g, inputs) => primitives.gelu(g, at(inputs, 'x')),
  concat: (g, inputs, { axis }) => primitives.concat(g, Object.values(inputs), axis),
  reshapeLike: (g, inputs) => primitives.reshapeLike(g, at(inputs, 'x'), at(inputs, 'like')),
  attention: (g, inputs, options) => {
    const { context } = inputs;
    return attention.attention(g, at(inputs, 'x'), 'layer', context === undefined ? options : { ...options, context });
  },
  multiHeadAttention: (g, inputs, { heads }) => {
    const { bias } = inputs;
    const [query, key, value] = [at(inputs, 'query'), at(inputs, 'key'), at(inputs, 'value')];
    return attention.multiHeadAttention(g, { query, key, value, heads, ...(bias === undefined ? {} : { bias }) });
  },
  resnetBlock2d: (g, inputs, options) => {
    const { time } = inputs;
    const { activation = 'silu' } = options;
    const settings =
      time === undefined ? options : { ...options, activatedTimeEmbedding: primitives.activate(g, time, activation) };
    return resnet.resnetBlock2d(g, at(inputs, 'x'), 'layer', settings);
  },
  downsample2d: (g, inputs, { padding }) => resnet.downsample2d(g, at(inputs, 'x'), 'layer', padding),
  upsample2d: (g, inputs) => resnet.upsample2d(g, at(inputs, 'x'), 'layer', inputs['like']),
  enlarge2d: (g, inputs) => resnet.enlarge2d(g, at(inputs, 'x')),
  toTokens: (g, inputs) => {
    const { tokens, restore } = resnet.toTokens(g, at(inputs, 'x'));
    return { tokens, restored: restore(primitives.add(g, tokens, tokens)) };
  },
  timestepProjection: (g, inputs, options) => timestep.timestepProjection(g, at(inputs, 'timestep'), options),
  timestepEmbedding: (g, inputs, options) => timestep.timestepEmbedding(g, at(inputs, 'x'), 'layer', options),
  transformer2d: (g, inputs, options) => {
    const encoderHiddenStates = at(inputs, 'encoderHiddenStates');
    return transformer.transformer2d(g, at(inputs, 'x'), 'layer', { ...options, encoderHiddenStates });
  },
};

const cases = await readVectors('layers');

/** @param isActual whether the graph is written for the sizes that it runs at */
function graphOf(vector: VectorCase, computeType: ComputeType, isActual = false): BuiltGraph {
  const g = new GraphBuilder(vector.weights, computeType);
  const inputs = Object.entries(vector.inputs).map(([name, tensor]) => {
    const dimensions = vector.dimensions[name] ?? [];
    const input = g.input(name, 'float32', dimensions, nominalShape(dimensions, tensor, isActual));
    // Timesteps stay float32 in either type.
    return [name, name === 'timestep' ? input : g.cast(input, computeType)] as const;
  });
  // The options are what the vectors' program wrote for this very function.
  const options = vector.options as unknown as Options;
  const result = OPERATIONS[vector.operation]?.(g, Object.fromEntries(inputs), options);
  assert.ok(result !== undefined, `there is no operation ${vector.operation} in this test`);
  const outputs = 'name' in result && typeof result.name === 'string' ? { y: result as Value } : result;
  for (const [name, value] of Object.entries(outputs as Record<string, Value>)) {
    g.output(
      name,
      value,
      value.shape.map((_, index) => `${name}${index}`),
    );
    if (isActual) assert.deepEqual([...value.shape], [...(vector.expected[name]?.shape ?? [])]);
  }
  return g.build(vector.name);
}

suite('each layer gives what torch gives, at the sizes that it was written for and at others', () => {
  for (const vector of cases) {
    test(`${vector.name}: ${vector.about}`, async () => {
      for (const isActual of [false, true]) {
        const results = await runGraph(graphOf(vector, 'float32', isActual), vector.inputs);
        for (const [name, expected] of Object.entries(vector.expected))
          assertClose(results[name], expected, TOLERANCES[vector.name] ?? TOLERANCE);
      }
    });
  }
});

test('each layer in float16 gives what it gives in float32', async () => {
  for (const vector of cases) {
    const single = await runGraph(graphOf(vector, 'float32'), vector.inputs);
    const half = await runGraph(graphOf(vector, 'float16'), vector.inputs);
    for (const [name, expected] of Object.entries(single)) assertClose(half[name], expected, FLOAT16_TOLERANCE);
  }
});

test('each layer counts the arithmetic that torch counts', () => {
  for (const vector of cases) assert.equal(graphOf(vector, 'float32', true).flops, vector.flops, vector.name);
});

test('every function of the layers has a case', () => {
  const functions = [attention, primitives, resnet, timestep, transformer].flatMap((module) => Object.keys(module));
  assert.deepEqual([...new Set(cases.map(({ operation }) => operation))].toSorted(), functions.toSorted());
});
