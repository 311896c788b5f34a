/**
 * Every network in the fused form against the portable one, with the operators of the fused form spelled out: with the options and weights of the
 * committed vectors, at other sizes and batches, and as graphs of full shape by their nodes alone.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readConfig } from '../../../src/lib/config-rules.ts';
import { AUTOENCODER_KL } from '../../../src/networks/autoencoder-kl.ts';
import { AUTOENCODER_TINY } from '../../../src/networks/autoencoder-tiny.ts';
import { CLIP_TEXT_MODEL } from '../../../src/networks/clip-text-model.ts';
import type { NetworkClass } from '../../../src/networks/network-class.ts';
import { featureSide } from '../../../src/networks/unet-2d-branches.ts';
import { UNET_2D_CONDITION_MODEL } from '../../../src/networks/unet-2d-condition-model.ts';
import { SPELLED_OUT_DOMAIN } from '../../../src/onnx/graph-form.ts';
import type { BuiltGraph } from '../../../src/onnx/graph.ts';
import type { Weights } from '../../../src/onnx/weights.ts';
import { type GraphOptions, vectorGraphs } from '../portable-graphs.ts';
import { askedWeights, randomWeights } from '../random-weights.ts';
import { compareForms, nodesOf, randomInputs } from './both-forms.ts';

/** Sizes of the inputs of any network. Odd ones, which no way down divides. */
function sizesOf(batch: number, height: number, width: number): Readonly<Record<string, number>> {
  return {
    batch,
    height,
    width,
    tokens: 5,
    // Of the feature of branch 0.
    feature_height: featureSide(height, 0),
    feature_width: featureSide(width, 0),
    image_height: height * 8,
    image_width: width * 8,
  };
}

suite('a network in the fused form gives what it gives in the portable one', async () => {
  for (const { name, vector, build } of await vectorGraphs()) {
    // Of CLIP the vocabulary, and the number of layers.
    const { vocab_size: words, num_hidden_layers: layers } = vector.options as Readonly<Record<string, number>>;
    const largest = { input_ids: words ?? 1, layer: layers ?? 1 };
    test(`${name}: ${vector.about}`, async () => {
      const [batch, height, width] = [3, 5, 7];
      const inputs = randomInputs(build({ computeType: 'float32' }), sizesOf(batch, height, width), largest);
      await compareForms(build, inputs, 'float32');
    });
    test(`${name} in float16`, async () => {
      const inputs = randomInputs(build({ computeType: 'float16' }), sizesOf(1, 6, 4), largest);
      await compareForms(build, inputs, 'float16');
    });
  }
});

interface FullShape<C = never> {
  readonly networkClass: NetworkClass<C>;
  readonly json: Readonly<Record<string, unknown>>;
  readonly graph?: string;
}

const UNET = { networkClass: UNET_2D_CONDITION_MODEL } as const;
const XL = {
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  attention_head_dim: [5, 10, 20],
  block_out_channels: [320, 640, 1280],
  cross_attention_dim: 2048,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
  projection_class_embeddings_input_dim: 2816,
  transformer_layers_per_block: [1, 2, 10],
  up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
  use_linear_projection: true,
};

function build<C>({ networkClass, json, graph }: FullShape<C>, weights: Weights, options: GraphOptions): BuiltGraph {
  const { config } = readConfig(networkClass, json, 'full shape');
  const builder = graph === undefined ? networkClass : networkClass.moreGraphs?.[graph];
  assert.ok(builder !== undefined);
  return builder.build({ config, weights, ...options });
}

interface Expected {
  /** Beside the transposes of the inputs and outputs that are feature maps. */
  readonly counts: Readonly<Record<string, number>>;
  readonly maps: number;
}

/** GroupNorm, SkipGroupNorm and so on, of full shape in float16. */
const FULL_SHAPES: Readonly<Record<string, { readonly shape: FullShape; readonly expected: Expected }>> = {
  'the UNet of SD 1.5': {
    shape: { ...UNET, json: { attention_head_dim: 8, cross_attention_dim: 768 } } as unknown as FullShape,
    // 22 residual blocks, 16 transformers of one layer, the last norm.
    expected: {
      counts: {
        GroupNorm: 39,
        SkipGroupNorm: 22,
        BiasSplitGelu: 16,
        MultiHeadAttention: 32,
        BiasAdd: 54,
        SkipLayerNormalization: 32,
      },
      maps: 3,
    },
  },
  'the shallow UNet of SD 1.5': {
    shape: {
      ...UNET,
      graph: 'shallow',
      json: { attention_head_dim: 8, cross_attention_dim: 768 },
    } as unknown as FullShape,
    expected: { counts: { GroupNorm: 3, SkipGroupNorm: 1 }, maps: 3 },
  },
  'the UNet of SD 2.1': {
    shape: {
      ...UNET,
      json: { attention_head_dim: [5, 10, 20, 20], cross_attention_dim: 1024, use_linear_projection: true },
    } as unknown as FullShape,
    expected: {
      counts: {
        GroupNorm: 39,
        SkipGroupNorm: 22,
        BiasSplitGelu: 16,
        MultiHeadAttention: 32,
        BiasAdd: 54,
        SkipLayerNormalization: 32,
      },
      maps: 3,
    },
  },
  'the UNet of SDXL': {
    shape: { ...UNET, json: XL } as unknown as FullShape,
    // 17 residual blocks, 11 transformers with 70 layers, the last norm.
    expected: {
      counts: {
        GroupNorm: 29,
        SkipGroupNorm: 17,
        BiasSplitGelu: 70,
        MultiHeadAttention: 140,
        BiasAdd: 39,
        SkipLayerNormalization: 199,
      },
      maps: 3,
    },
  },
  'the decoder of AutoencoderKL': {
    shape: {
      networkClass: AUTOENCODER_KL,
      json: {
        block_out_channels: [128, 256, 512, 512],
        layers_per_block: 2,
        up_block_types: Array.from({ length: 4 }, () => 'UpDecoderBlock2D'),
      },
    } as unknown as FullShape,
    expected: { counts: { GroupNorm: 30, SkipGroupNorm: 0, MultiHeadAttention: 1 }, maps: 2 },
  },
  'the decoder of TAESD': {
    shape: { networkClass: AUTOENCODER_TINY, json: {} } as unknown as FullShape,
    expected: { counts: { GroupNorm: 0, Resize: 3 }, maps: 2 },
  },
};

suite('a graph of full shape', () => {
  for (const [name, { shape, expected }] of Object.entries(FULL_SHAPES)) {
    const graphs = {
      portable: build(shape, askedWeights(), { computeType: 'float16' }),
      fused: build(shape, askedWeights(), { computeType: 'float16', form: 'fused' }),
    };
    const [portable, fused] = [nodesOf(graphs.portable), nodesOf(graphs.fused)];

    test(`${name} has a norm of the fused form for each of its norms`, () => {
      const found = Object.fromEntries(Object.keys(expected.counts).map((key) => [key, fused.counts[key] ?? 0]));
      assert.deepEqual(found, expected.counts);
      const { GroupNorm: norms = 0, SkipGroupNorm: skips = 0 } = fused.counts;
      assert.equal(norms + skips, portable.counts['InstanceNormalization'] ?? 0);
      assert.equal(fused.counts['InstanceNormalization'], undefined);
    });

    test(`${name} has convolutions with channels last, and transposes at its ends only`, () => {
      // The projections of transformers are products in the fused form.
      const { Conv: convolutions = 0 } = portable.counts;
      const products = (fused.counts['FusedMatMul'] ?? 0) - (portable.counts['FusedMatMul'] ?? 0);
      assert.equal((fused.counts['NhwcConv'] ?? 0) + products, convolutions);
      assert.equal(fused.counts['Conv'], undefined);
      assert.equal(fused.counts['Transpose'], expected.maps);
    });

    test(`${name} has the operators of ONNX Runtime, and counts the same arithmetic and weights`, () => {
      assert.equal(fused.functions, 0);
      assert.equal(graphs.fused.flops, graphs.portable.flops);
      assert.equal(graphs.fused.weightBytes, graphs.portable.weightBytes);
      assert.equal(graphs.fused.isForCuda, true);
    });

    test(`${name} has only operators that its CUDA provider has in float16, beside the arithmetic of shapes`, () => {
      const unknown = Object.keys(fused.counts).filter((opType) => !ON_CUDA.has(opType));
      assert.deepEqual(unknown, []);
    });
  }

  test('the text encoder hides later tokens by an attribute', () => {
    const shape = { networkClass: CLIP_TEXT_MODEL, json: {} } as unknown as FullShape;
    const { all } = nodesOf(build(shape, askedWeights(), { computeType: 'float16', form: 'fused' }));
    const attentions = all.filter(({ opType }) => opType === 'MultiHeadAttention');
    assert.equal(attentions.length, 12);
    for (const { input, attribute } of attentions) {
      assert.equal(input[5] ?? '', '');
      assert.equal(attribute.find(({ name }) => name === 'unidirectional')?.i, 1);
    }
  });
});

/** With a kernel in float16 (docs/OperatorKernels.md of ONNX Runtime 1.30). `Shape` and `Concat` of shapes run on the CPU, and no feature map goes there. */
const ON_CUDA: ReadonlySet<string> = new Set([
  'NhwcConv',
  'GroupNorm',
  'SkipGroupNorm',
  'BiasSplitGelu',
  'BiasAdd',
  'MultiHeadAttention',
  'FusedMatMul',
  'QuickGelu',
  'Add',
  'Mul',
  'Div',
  'Cast',
  'Concat',
  'Expand',
  'Identity',
  'LayerNormalization',
  'SkipLayerNormalization',
  'Relu',
  'Reshape',
  'Resize',
  'Shape',
  'Sin',
  'Cos',
  'Tanh',
  'Transpose',
]);

suite('networks of other weights', () => {
  const json = {
    block_out_channels: [32, 64],
    down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
    up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
    layers_per_block: 1,
    norm_num_groups: 8,
    cross_attention_dim: 16,
    attention_head_dim: 4,
  };
  const tiny = { ...UNET, json } as unknown as FullShape;
  for (const dtype of ['F32', 'F16', 'BF16'] as const)
    for (const computeType of ['float32', 'float16'] as const)
      test(`weights in ${dtype} in ${computeType}`, async (t) => {
        const weights = await randomWeights(t, (asked) => build(tiny, asked, { computeType: 'float32' }), dtype);
        const inputs = randomInputs(build(tiny, weights, { computeType }), sizesOf(2, 7, 5));
        await compareForms((options) => build(tiny, weights, options), inputs, computeType);
      });
});

test('a graph whose operators are spelled out runs everywhere', () => {
  const shape = FULL_SHAPES['the UNet of SD 1.5']?.shape as FullShape;
  const graph = build(shape, askedWeights(), {
    computeType: 'float32',
    form: 'fused',
    fusedDomain: SPELLED_OUT_DOMAIN,
  });
  assert.equal(graph.isForCuda, undefined);
  assert.ok(nodesOf(graph).functions > 0);
});
