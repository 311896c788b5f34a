/** Each network at tiny size, with each option of its configuration, against transformers' and diffusers'; and in float16 against itself in float32. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readConfig } from '../../src/lib/config-rules.ts';
import { AUTOENCODER_KL } from '../../src/networks/autoencoder-kl.ts';
import { AUTOENCODER_TINY } from '../../src/networks/autoencoder-tiny.ts';
import { CLIP_TEXT_MODEL, CLIP_TEXT_MODEL_WITH_PROJECTION } from '../../src/networks/clip-text-model.ts';
import type { NetworkClass } from '../../src/networks/network-class.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';
import type { BuiltGraph, ComputeType } from '../../src/onnx/graph.ts';
import { valuesByLayer } from './every-value.ts';
import { assertClose, readVectors, runGraph, type VectorCase } from './vectors.ts';

/** A share of the largest number of a result. Measured on a CPU with AVX2: 2.3e-6; torch in float32 loses up to 3.8e-6. */
const TOLERANCE = 1e-5;
/** Measured: 4.4e-3, 2e-3 but for one. ONNX Runtime's x86 kernels compute most of it in float32; others round each value to 11 bits. */
const FLOAT16_TOLERANCE = 3e-2;

interface Network {
  /** Default: the network's own name. */
  readonly groups?: readonly string[];
  readonly keys: readonly string[];
  /** Keys that change nothing of the graph. */
  readonly elsewhere: readonly string[];
  /** @param isActual whether the graph is written for the height, width and tokens that it runs at; else for the builder's own */
  build(vector: VectorCase, computeType: ComputeType, isActual?: boolean): BuiltGraph;
  /** Layer → how many of its values are float32 in a float16 graph too: what makes the sinusoids, and the output with its cast. */
  inFloat32(options: VectorCase['options']): Readonly<Record<string, number>>;
}

/** The sizes of an input. */
function shapeOf({ inputs }: VectorCase, name: string): readonly number[] {
  const { shape } = inputs[name] ?? {};
  assert.ok(shape !== undefined, name);
  return shape;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The output `hidden_state` is behind it. */
const lastLayer = (options: VectorCase['options']): string =>
  `encoder.layers.${Number(options['num_hidden_layers']) - 1}.mlp.fc2`;

function buildClip<C>(networkClass: NetworkClass<C>, vector: VectorCase, computeType: ComputeType): BuiltGraph {
  const { config } = readConfig(networkClass, vector.options, vector.name);
  const [, tokens] = shapeOf(vector, 'input_ids') as [number, number];
  return networkClass.build({ config, weights: vector.weights, computeType, sizes: { tokens } });
}

const NETWORKS: Readonly<Record<string, Network>> = {
  clip: {
    keys: CLIP_TEXT_MODEL.rules.implementedKeys,
    elsewhere: [],
    inFloat32: () => ({ final_layer_norm: 2 }),
    build: (vector, computeType) => buildClip(CLIP_TEXT_MODEL, vector, computeType),
  },
  'clip-layers': {
    keys: [],
    elsewhere: [],
    inFloat32: (options) => ({ [lastLayer(options)]: 2, final_layer_norm: 2 }),
    build: (vector, computeType) => {
      const anyLayer = CLIP_TEXT_MODEL.moreGraphs?.['any_layer'];
      assert.ok(anyLayer !== undefined);
      return buildClip({ ...CLIP_TEXT_MODEL, ...anyLayer }, vector, computeType);
    },
  },
  'clip-projection': {
    keys: CLIP_TEXT_MODEL_WITH_PROJECTION.rules.implementedKeys,
    elsewhere: [],
    // The search for the end token is behind the second output.
    inFloat32: (options) => ({
      [lastLayer(options)]: 2,
      final_layer_norm: 2 + (options['eos_token_id'] === 2 ? 1 : 5),
      text_projection: 2,
    }),
    build: (vector, computeType) => buildClip(CLIP_TEXT_MODEL_WITH_PROJECTION, vector, computeType),
  },
  unet: {
    groups: ['unet', 'unet-options', 'unet-xl'],
    keys: UNET_2D_CONDITION_MODEL.rules.implementedKeys,
    elsewhere: ['sample_size', '_diffusers_version'],
    // The sinusoids: products, sine, cosine, both, and a zero for an odd number; of sizes also their reshaping.
    inFloat32: ({ block_out_channels: channels, addition_time_embed_dim: each }) => ({
      input: 4 + (((channels as number[])[0] as number) % 2),
      ...(each === undefined ? {} : { 'time_embedding.linear_2': 5 + (Number(each) % 2) }),
      // The prediction and the feature, each cast and named.
      conv_out: 4,
    }),
    build: (vector, computeType, isActual = false) => {
      const { config } = readConfig(UNET_2D_CONDITION_MODEL, vector.options, vector.name);
      const [, , height, width] = shapeOf(vector, 'sample') as [number, number, number, number];
      const [, tokens] = shapeOf(vector, 'encoder_hidden_states') as [number, number];
      return UNET_2D_CONDITION_MODEL.build({
        config,
        weights: vector.weights,
        computeType,
        ...(isActual ? { sizes: { batch: 1, height, width, tokens } } : {}),
      });
    },
  },
  'vae-tiny': {
    keys: AUTOENCODER_TINY.rules.implementedKeys,
    elsewhere: ['scaling_factor'],
    // The last layer's output and its cast. The layers are a convolution and its activation, the blocks, and two between each two stages.
    inFloat32: ({ num_decoder_blocks: blocks }) => {
      const stages = blocks as readonly number[];
      return { [`decoder.layers.${2 * stages.length + sum(stages)}`]: 2 };
    },
    build: (vector, computeType, isActual = false) => {
      const { config } = readConfig(AUTOENCODER_TINY, vector.options, vector.name);
      const [, , height, width] = shapeOf(vector, 'latent_sample') as [number, number, number, number];
      return AUTOENCODER_TINY.build({
        config,
        weights: vector.weights,
        computeType,
        ...(isActual ? { sizes: { height, width } } : {}),
      });
    },
  },
  'vae-tiny-encoder': {
    keys: [],
    elsewhere: [],
    inFloat32: ({ num_encoder_blocks: blocks }) => {
      const stages = blocks as readonly number[];
      return { [`encoder.layers.${stages.length + sum(stages)}`]: 2 };
    },
    build: (vector, computeType, isActual = false) => {
      const { config } = readConfig(AUTOENCODER_TINY, vector.options, vector.name);
      const [, , height, width] = shapeOf(vector, 'sample') as [number, number, number, number];
      const scale = 2 ** (config.num_encoder_blocks.length - 1);
      const encoder = AUTOENCODER_TINY.moreGraphs?.['encoder'];
      assert.ok(encoder !== undefined);
      return encoder.build({
        config,
        weights: vector.weights,
        computeType,
        ...(isActual ? { sizes: { height: height / scale, width: width / scale } } : {}),
      });
    },
  },
  vae: {
    keys: AUTOENCODER_KL.rules.implementedKeys,
    // `force_upcast` decides what the graph is built in, before it is built. The statistics are the pipeline's business.
    elsewhere: ['sample_size', 'scaling_factor', 'latents_mean', 'latents_std', 'act_fn', 'force_upcast'],
    inFloat32: () => ({ 'decoder.conv_out': 2 }),
    build: (vector, computeType, isActual = false) => {
      const { config } = readConfig(AUTOENCODER_KL, vector.options, vector.name);
      const [, , height, width] = shapeOf(vector, 'latent_sample') as [number, number, number, number];
      return AUTOENCODER_KL.build({
        config,
        weights: vector.weights,
        computeType,
        ...(isActual ? { sizes: { height, width } } : {}),
      });
    },
  },
};

for (const [name, network] of Object.entries(NETWORKS)) {
  const { groups = [name] } = network;
  const cases = (await Promise.all(groups.map(readVectors))).flat();
  suite(name, () => {
    for (const vector of cases) {
      test(`${vector.name} gives what torch gives: ${vector.about}`, async () => {
        for (const isActual of [false, true]) {
          const results = await runGraph(network.build(vector, 'float32', isActual), vector.inputs);
          for (const [name, expected] of Object.entries(vector.expected))
            assertClose(results[name], expected, TOLERANCE);
        }
      });
    }

    test('its graph in float16 gives what it gives in float32', async () => {
      for (const vector of cases) {
        const half = await runGraph(network.build(vector, 'float16'), vector.inputs);
        for (const [name, expected] of Object.entries(vector.expected))
          assertClose(half[name], expected, FLOAT16_TOLERANCE);
      }
    });

    test('its graph in float16 computes in float16 between its inputs and its output', async () => {
      for (const vector of cases) {
        const layers = await valuesByLayer(network.build(vector, 'float16'), vector.inputs);
        const wide = [...layers]
          .map(([layer, values]) => [layer, values.filter(({ data }) => data instanceof Float32Array).length] as const)
          .filter(([, count]) => count > 0);
        assert.deepEqual(Object.fromEntries(wide), network.inFloat32(vector.options), vector.name);
      }
    });

    test('it counts the arithmetic that torch counts', () => {
      for (const vector of cases) assert.equal(network.build(vector, 'float32', true).flops, vector.flops, vector.name);
    });

    test('every key of its configuration that changes the graph has a case of its own', () => {
      const base = cases[0]?.options ?? {};
      const varied = network.keys.filter((key) =>
        cases.some(({ options }) => JSON.stringify(options[key]) !== JSON.stringify(base[key])),
      );
      assert.deepEqual(
        [...varied, ...network.elsewhere].toSorted(),
        [...network.keys].toSorted(),
        'give each key a case in reference/network_vectors.py, then run: python reference/make_network_vectors.py',
      );
    });
  });
}
