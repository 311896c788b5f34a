/** Layers in the fused form against the portable one, in float32 and float16, with the operators of the fused form spelled out. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { attention, multiHeadAttention } from '../../../src/networks/layers/attention.ts';
import { causalMask } from '../../../src/networks/layers/causal-mask.ts';
import { activatedGroupNorm, rowPerImage } from '../../../src/networks/layers/norms.ts';
import { activate, add, concat, conv2d, groupNorm } from '../../../src/networks/layers/primitives.ts';
import {
  downsample2d,
  enlarge2d,
  resnetBlock2d,
  toTokens,
  upsample2d,
} from '../../../src/networks/layers/resnet-block-2d.ts';
import { transformer2d } from '../../../src/networks/layers/transformer-2d.ts';
import { type BuiltGraph, GraphBuilder, type Value } from '../../../src/onnx/graph.ts';
import type { Weights } from '../../../src/onnx/weights.ts';
import type { HostTensors } from '../../../src/runtime/contract.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';
import type { GraphOptions } from '../portable-graphs.ts';
import { randomNumbers, randomWeights } from '../random-weights.ts';
import { runGraph } from '../vectors.ts';
import { compareForms, nodesOf } from './both-forms.ts';

interface Layer {
  readonly about: string;
  /** Input → shape; feature maps have four dimensions. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly write: (g: GraphBuilder, inputs: Readonly<Record<string, Value>>) => Value;
  /** Operators that the fused form has for it, with their number. */
  readonly fused: Readonly<Record<string, number>>;
  /** Of transposes in the fused form; default: one for each feature map that goes in or out. */
  readonly transposes?: number;
}

const MAP = { x: [3, 8, 5, 7] };
const NORM = { groups: 4, epsilon: 1e-5 };
const value = (inputs: Readonly<Record<string, Value>>, name = 'x'): Value => inputs[name] as Value;
const timed = (g: GraphBuilder, inputs: Readonly<Record<string, Value>>): Value =>
  rowPerImage(g, value(inputs, 'time'), value(inputs));

const LAYERS: readonly Layer[] = [
  {
    about: 'a 3×3 convolution',
    inputs: MAP,
    write: (g, inputs) => conv2d(g, value(inputs), 'layer', { outChannels: 6 }),
    fused: { NhwcConv: 1 },
  },
  {
    about: 'a 1×1 convolution without bias',
    inputs: MAP,
    write: (g, inputs) => conv2d(g, value(inputs), 'layer', { outChannels: 6, kernel: 1, bias: false }),
    fused: { NhwcConv: 1 },
  },
  {
    about: 'a convolution that halves with padding 0',
    inputs: MAP,
    write: (g, inputs) => downsample2d(g, value(inputs), 'layer', 0),
    fused: { NhwcConv: 1 },
  },
  {
    about: 'a convolution that halves with padding 1',
    inputs: MAP,
    write: (g, inputs) => downsample2d(g, value(inputs), 'layer', 1),
    fused: { NhwcConv: 1 },
  },
  {
    about: 'an enlargement between convolutions',
    inputs: MAP,
    write: (g, inputs) => upsample2d(g, conv2d(g, value(inputs), 'first', { outChannels: 6 }), 'layer'),
    fused: { NhwcConv: 2, Resize: 1 },
  },
  {
    about: 'an enlargement to the size of a skip, which another layer made',
    inputs: { ...MAP, like: [3, 6, 9, 13] },
    write: (g, inputs) => {
      const like = conv2d(g, value(inputs, 'like'), 'like', { outChannels: 4 });
      const hidden = upsample2d(g, conv2d(g, value(inputs), 'first', { outChannels: 6 }), 'layer', like);
      return concat(g, [hidden, like], 1);
    },
    fused: { NhwcConv: 3, Resize: 1 },
  },
  {
    about: 'an enlargement of an input',
    inputs: MAP,
    write: (g, inputs) => enlarge2d(g, value(inputs)),
    fused: { Resize: 1 },
    transposes: 0,
  },
  {
    about: 'a norm',
    inputs: MAP,
    write: (g, inputs) => groupNorm(g, value(inputs), 'layer', NORM),
    fused: { GroupNorm: 1 },
  },
  {
    about: 'a norm with SiLU',
    inputs: MAP,
    write: (g, inputs) => activatedGroupNorm(g, value(inputs), 'layer', { ...NORM, activation: 'silu' }),
    fused: { GroupNorm: 1 },
  },
  {
    about: 'a norm with Mish, which the operator lacks',
    inputs: MAP,
    write: (g, inputs) => activatedGroupNorm(g, value(inputs), 'layer', { ...NORM, activation: 'mish' }),
    fused: { GroupNorm: 1, Softplus: 1 },
  },
  {
    about: 'a norm of odd groups, which the operator refuses',
    inputs: MAP,
    write: (g, inputs) => activatedGroupNorm(g, value(inputs), 'layer', { ...NORM, groups: 8, activation: 'silu' }),
    fused: { InstanceNormalization: 1 },
    transposes: 0,
  },
  {
    about: 'a residual block without time',
    inputs: MAP,
    write: (g, inputs) => resnetBlock2d(g, value(inputs), 'layer', { ...NORM, outChannels: 16 }),
    fused: { GroupNorm: 2, NhwcConv: 3 },
    transposes: 3,
  },
  {
    about: 'a residual block with one time for all images',
    inputs: { ...MAP, time: [1, 10] },
    write: (g, inputs) =>
      resnetBlock2d(g, value(inputs), 'layer', { ...NORM, outChannels: 8, activatedTimeEmbedding: timed(g, inputs) }),
    fused: { GroupNorm: 1, SkipGroupNorm: 1, NhwcConv: 2 },
    transposes: 3,
  },
  {
    about: 'a residual block with a time for each image, Mish, and a divided result',
    inputs: { ...MAP, time: [3, 10] },
    write: (g, inputs) =>
      resnetBlock2d(g, value(inputs), 'layer', {
        ...NORM,
        outChannels: 16,
        activation: 'mish',
        outputScaleFactor: 1.5,
        activatedTimeEmbedding: timed(g, inputs),
      }),
    fused: { GroupNorm: 1, SkipGroupNorm: 1, NhwcConv: 3 },
    transposes: 3,
  },
  ...[320, 64].map((channels) => ({
    about: `a residual block from ${channels} to 320 channels, whose biases are added with the shortcut`,
    inputs: { x: [2, channels, 3, 2], time: [1, 10] },
    write: (g: GraphBuilder, inputs: Readonly<Record<string, Value>>) =>
      resnetBlock2d(g, value(inputs), 'layer', {
        groups: 32,
        epsilon: 1e-5,
        outChannels: 320,
        activatedTimeEmbedding: timed(g, inputs),
      }),
    fused: { GroupNorm: 1, SkipGroupNorm: 1, BiasAdd: 1 },
    transposes: 3,
  })),
  {
    about: 'a residual block whose time scales and shifts',
    inputs: { ...MAP, time: [1, 10] },
    write: (g, inputs) =>
      resnetBlock2d(g, value(inputs), 'layer', {
        ...NORM,
        outChannels: 8,
        timeScaleShift: true,
        activatedTimeEmbedding: timed(g, inputs),
      }),
    fused: { GroupNorm: 2, NhwcConv: 2 },
    transposes: 3,
  },
  {
    about: 'a residual block of odd groups',
    inputs: { ...MAP, time: [1, 10] },
    write: (g, inputs) =>
      resnetBlock2d(g, value(inputs), 'layer', {
        ...NORM,
        groups: 8,
        outChannels: 8,
        activatedTimeEmbedding: timed(g, inputs),
      }),
    fused: { InstanceNormalization: 2, NhwcConv: 2 },
    // Into the norm and out of it, twice; less the input's, and one more where the sum begins.
    transposes: 5,
  },
  {
    about: 'tokens of a feature map and back',
    inputs: MAP,
    write: (g, inputs) => {
      const { tokens, restore } = toTokens(g, conv2d(g, value(inputs), 'layer', { outChannels: 6 }));
      return activate(g, restore(add(g, tokens, tokens)), 'silu');
    },
    fused: { NhwcConv: 1 },
  },
  {
    about: 'an attention over its own tokens',
    inputs: { x: [3, 6, 8] },
    write: (g, inputs) => attention(g, value(inputs), 'layer', { heads: 2, qkvBias: true }),
    fused: { MultiHeadAttention: 1 },
  },
  {
    about: 'an attention in which no token looks at a later one',
    inputs: { query: [3, 7, 8], key: [3, 7, 8], values: [3, 7, 8] },
    write: (g, inputs) =>
      multiHeadAttention(g, {
        query: value(inputs, 'query'),
        key: value(inputs, 'key'),
        value: value(inputs, 'values'),
        heads: 2,
        ...causalMask(g, 7),
      }),
    fused: { MultiHeadAttention: 1 },
  },
  ...[true, false].map((useLinearProjection) => ({
    about: `a transformer of two layers with ${useLinearProjection ? 'linear projections' : 'convolutions as projections'}`,
    inputs: { ...MAP, context: [3, 4, 10] },
    write: (g: GraphBuilder, inputs: Readonly<Record<string, Value>>) =>
      transformer2d(g, value(inputs), 'layer', {
        heads: 2,
        groups: 4,
        layers: 2,
        useLinearProjection,
        onlyCrossAttention: false,
        encoderHiddenStates: value(inputs, 'context'),
      }),
    fused: { GroupNorm: 1, MultiHeadAttention: 4 },
    // The input once for the norm and once for the sum.
    transposes: 3,
  })),
  {
    about: 'a transformer whose width the operators are made for',
    inputs: { x: [3, 320, 3, 2], context: [3, 4, 10] },
    write: (g, inputs) =>
      transformer2d(g, value(inputs), 'layer', {
        heads: 8,
        groups: 32,
        layers: 1,
        useLinearProjection: false,
        onlyCrossAttention: true,
        encoderHiddenStates: value(inputs, 'context'),
      }),
    fused: { GroupNorm: 1, MultiHeadAttention: 2, BiasSplitGelu: 1 },
    transposes: 3,
  },
];

function graphOf(
  { inputs: shapes, write }: Layer,
  weights: Weights,
  { computeType, ...style }: GraphOptions,
): BuiltGraph {
  const g = new GraphBuilder(weights, computeType, style);
  const inputs = Object.entries(shapes).map(([name, shape]) => {
    const dimensions = shape.map((size, axis) => (shape.length === 4 && axis !== 1 ? `${name}/${axis}` : size));
    return [name, g.cast(g.input(name, 'float32', dimensions, shape), g.graphType)] as const;
  });
  const result = write(g, Object.fromEntries(inputs));
  g.output(
    'y',
    result,
    result.shape.map((_, axis) => `y/${axis}`),
  );
  return g.build('layer');
}

function inputsOf({ inputs }: Layer): HostTensors {
  const numbers = randomNumbers(3);
  return Object.fromEntries(
    Object.entries(inputs).map(([name, shape]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      return [
        name,
        float32(
          Float32Array.from({ length }, () => numbers.next().value * 2),
          shape,
        ),
      ];
    }),
  );
}

suite('a layer in the fused form gives what it gives in the portable one', () => {
  for (const layer of LAYERS) {
    for (const computeType of ['float32', 'float16'] as const)
      test(`${layer.about}, in ${computeType}`, async (t) => {
        const weights = await randomWeights(t, (asked) => graphOf(layer, asked, { computeType: 'float32' }));
        await compareForms((options) => graphOf(layer, weights, options), inputsOf(layer), computeType);
      });

    test(`${layer.about} has the operators of the fused form, and no transpose inside`, async (t) => {
      const weights = await randomWeights(t, (asked) => graphOf(layer, asked, { computeType: 'float32' }));
      const { counts } = nodesOf(graphOf(layer, weights, { computeType: 'float16', form: 'fused' }));
      const found = Object.fromEntries(Object.keys(layer.fused).map((name) => [name, counts[name] ?? 0]));
      assert.deepEqual(found, layer.fused);
      const maps = Object.values(layer.inputs).filter(({ length }) => length === 4).length;
      assert.equal(counts['Transpose'] ?? 0, layer.transposes ?? (maps === 0 ? 0 : maps + 1), JSON.stringify(counts));
    });
  }
});

const HARD_NUMBERS: Readonly<Record<string, (index: number, random: number) => number>> = {
  'a mean 300 times the deviation': (_, random) => 300 + random,
  'a deviation of 1e-4': (_, random) => random * 1e-4,
  'one outlier of 3000': (index, random) => (index === 11 ? 3000 : random),
  'the same number everywhere': () => 2.5,
};

suite('a norm of numbers that are hard for its statistics', () => {
  for (const [about, numberAt] of Object.entries(HARD_NUMBERS))
    test(`${about}: the forms agree`, async (t) => {
      const layer: Layer = {
        about,
        inputs: { x: [2, 8, 6, 6] },
        write: (g, inputs) => activatedGroupNorm(g, value(inputs), 'layer', { ...NORM, activation: 'silu' }),
        fused: {},
      };
      const weights = await randomWeights(t, (asked) => graphOf(layer, asked, { computeType: 'float32' }));
      const numbers = randomNumbers(5);
      const data = Float32Array.from({ length: 2 * 8 * 36 }, (_, index) => numberAt(index, numbers.next().value));
      const results = await compareForms(
        (options) => graphOf(layer, weights, options),
        { x: float32(data, [2, 8, 6, 6]) },
        'float32',
      );
      assert.ok(floatsOf(results, 'y').every(Number.isFinite));
    });
});

test('a skip with another number of rows than the batch is refused, as CUDA refuses it', async (t) => {
  const layer: Layer = {
    about: '',
    inputs: { ...MAP, time: [1, 10] },
    write: (g, inputs) =>
      resnetBlock2d(g, value(inputs), 'layer', {
        ...NORM,
        outChannels: 8,
        activatedTimeEmbedding: value(inputs, 'time'),
      }),
    fused: {},
  };
  const weights = await randomWeights(t, (asked) => graphOf(layer, asked, { computeType: 'float32' }));
  const style = { computeType: 'float32', form: 'fused', fusedDomain: 'text2img.fused' } as const;
  await assert.rejects(runGraph(graphOf(layer, weights, style), inputsOf(layer)), { code: 'inference_failed' });
});

test('a graph with operators of CUDA is refused on the CPU, with what to do', async (t) => {
  const layer = LAYERS[0] as Layer;
  const weights = await randomWeights(t, (asked) => graphOf(layer, asked, { computeType: 'float32' }));
  const graph = graphOf(layer, weights, { computeType: 'float32', form: 'fused' });
  await assert.rejects(runGraph(graph, inputsOf(layer)), {
    code: 'device_unavailable',
    message: /on CUDA only, not on cpu.*--graph-form portable/,
  });
});
