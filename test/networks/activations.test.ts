/**
 * The checkpoints of the repository in float16: their graphs on a CPU, whose kernels hide what overflows; and therefore the largest number of each
 * layer in float32 against the largest that float16 holds. What happens where it is too large, `test/engine/open-networks.test.ts` shows.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openKnown } from '../checkpoint/open-known.ts';
import { proveFit } from '../../src/pipelines/prove-fit.ts';
import type { CheckpointNetwork } from '../../src/checkpoint/checkpoint.ts';
import type { GraphSizes } from '../../src/networks/network-class.ts';
import type { BuiltGraph, ComputeType } from '../../src/onnx/graph.ts';
import type { HostTensor } from '../../src/runtime/contract.ts';
import { float32, int32 } from '../../src/runtime/tensors.ts';
import { copyOfBase, editTensors, UNET } from '../checkpoint/checkpoint-copies.ts';
import { largestOf, valuesByLayer } from './every-value.ts';
import { assertClose, runGraph } from './vectors.ts';

const LARGEST_FLOAT16 = 65504;
/** A share of the largest number of a result. Measured on a CPU with AVX2, whose kernels compute most of it in float32: 2.1e-3. */
const FLOAT16_TOLERANCE = 2e-2;

interface Runnable {
  readonly single: BuiltGraph;
  readonly half: BuiltGraph;
  readonly inputs: Readonly<Record<string, HostTensor>>;
}

/** As large as noise becomes. */
function noise(shape: readonly number[]): HostTensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return float32(
    Float32Array.from({ length }, (_, index) => 4 * Math.sin(index * index)),
    shape,
  );
}

/** In both types, whatever the network's class makes of a configuration that says that it overflows. */
function inBoth<C>(
  { networkClass, config, weights }: CheckpointNetwork<C>,
  { inputs, sizes = {} }: { readonly inputs: Runnable['inputs']; readonly sizes?: GraphSizes },
): Runnable {
  const build = (computeType: ComputeType): BuiltGraph => networkClass.build({ config, weights, computeType, sizes });
  return { single: build('float32'), half: build('float16'), inputs };
}

/** The networks with inputs: a whole prompt, 16 × 12 latents, the first step of an image. */
async function networksOf(folder: string): Promise<Readonly<Record<'textEncoder' | 'unet' | 'vae', Runnable>>> {
  const { networks, tokenizers } = await openKnown(folder);
  const { text_encoder: textEncoder, unet, vae } = networks;
  const { maxTokens } = tokenizers.tokenizer;
  const { vocab_size: tokens, hidden_size: features } = textEncoder.config;
  const inputIds = Int32Array.from({ length: maxTokens }, (_, index) => (index * 7) % tokens);
  const ids = { input_ids: int32(inputIds, [1, inputIds.length]) };
  return {
    textEncoder: inBoth(textEncoder, { inputs: ids, sizes: { tokens: maxTokens } }),
    unet: inBoth(unet, {
      inputs: {
        sample: noise([1, unet.config.in_channels, 16, 12]),
        timestep: float32(Float32Array.of(981), [1]),
        encoder_hidden_states: noise([1, inputIds.length, features]),
      },
    }),
    vae: inBoth(vae, { inputs: { latent_sample: noise([1, vae.config.latent_channels, 16, 12]) } }),
  };
}

/** The layers whose largest number float16 does not hold. */
async function layersBeyond({ single, inputs }: Runnable): Promise<readonly string[]> {
  const largest = largestOf(await valuesByLayer(single, inputs));
  assert.ok(largest.size > 10);
  // Written so that NaN counts.
  return [...largest].filter(([, most]) => !(most <= LARGEST_FLOAT16)).map(([layer]) => layer);
}

const demoFolder = fileURLToPath(new URL('../../models/demo', import.meta.url));
const demo = await networksOf(demoFolder);
const golden = await networksOf(fileURLToPath(new URL('../golden/base', import.meta.url)));

for (const [model, networks] of Object.entries({ 'models/demo': demo, 'test/golden/base': golden })) {
  for (const [name, network] of Object.entries(networks)) {
    test(`${model}: ${name} in float16 on a CPU gives what it gives in float32`, async () => {
      const [single, half] = [
        await runGraph(network.single, network.inputs),
        await runGraph(network.half, network.inputs),
      ];
      for (const [output, expected] of Object.entries(single)) assertClose(half[output], expected, FLOAT16_TOLERANCE);
    });
  }
}

for (const [title, network] of Object.entries({
  'the text encoder of models/demo': demo.textEncoder,
  'the UNet of models/demo': demo.unet,
  'the text encoder of test/golden/base': golden.textEncoder,
  'the UNet of test/golden/base': golden.unet,
  'the autoencoder of test/golden/base': golden.vae,
})) {
  test(`no layer of ${title} goes beyond what float16 holds`, async () => {
    assert.deepEqual(await layersBeyond(network), []);
  });
}

test('the autoencoder of models/demo goes beyond it, so its configuration asks for float32 (force_upcast), and gets it beside float16', async () => {
  const config = await readFile(join(demoFolder, 'vae/config.json'), 'utf8');
  assert.equal((JSON.parse(config) as { force_upcast: unknown }).force_upcast, true);
  const types = Object.entries(proveFit(await openKnown(demoFolder), 'float16')).map(([name, { computeType }]) => [
    name,
    computeType,
  ]);
  assert.deepEqual(Object.fromEntries(types), { text_encoder: 'float16', unet: 'float16', vae: 'float32' });
  // 524,260 with these latents, 1,370,000 with those of images: in float16 a device would decode each image twice.
  const beyond = await layersBeyond(demo.vae);
  assert.deepEqual(
    [...new Set(beyond.map((layer) => layer.split('.').slice(0, 3).join('.')))],
    ['decoder.up_blocks.2', 'decoder.up_blocks.3'],
  );
});

test('one bias that is too large is found, under the name of its layer', async (t) => {
  const folder = copyOfBase(t);
  editTensors(join(folder, UNET), (tensors) => {
    const bias = tensors.get('mid_block.resnets.0.conv1.bias');
    assert.ok(bias !== undefined);
    const data = Float32Array.from({ length: bias.data.length / 4 }, (_, index) => (index === 3 ? -7e4 : 0));
    tensors.set('mid_block.resnets.0.conv1.bias', { ...bias, data: Buffer.from(data.buffer) });
  });
  const { unet } = await networksOf(folder);
  assert.equal((await layersBeyond(unet))[0], 'mid_block.resnets.0.conv1');
});
