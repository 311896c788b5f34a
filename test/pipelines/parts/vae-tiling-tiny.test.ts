/** Tiles of AutoencoderTiny, against what diffusers makes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../../src/lib/config-rules.ts';
import { AUTOENCODER_TINY } from '../../../src/networks/autoencoder-tiny.ts';
import type { VaeDecoder } from '../../../src/pipelines/parts/networks.ts';
import { requireTiles } from '../../../src/pipelines/parts/vae-tiles.ts';
import { tiledTinyVaeDecoder } from '../../../src/pipelines/parts/vae-tiling-tiny.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';
import { assertClose, readVectors } from '../../networks/vectors.ts';
import { openOnCpu } from '../../runtime/open-on-cpu.ts';

const [vector] = await readVectors('vae-tiny-tiled');
assert.ok(vector !== undefined);
const { config } = readConfig(AUTOENCODER_TINY, vector.options, vector.name);
const { latent_sample: latents } = vector.inputs;
const { sample: expected } = vector.expected;
assert.ok(latents?.type === 'float32' && expected !== undefined);
const [, channels = 0, height = 0, width = 0] = latents.shape;
const graph = AUTOENCODER_TINY.build({ config, weights: vector.weights, computeType: 'float32' });

/** The vectors' tiles are of 64 pixels. */
const TILE_PX = 64;

async function withDecoder(use: (decoder: VaeDecoder) => Promise<void>): Promise<void> {
  await using network = await openOnCpu(graph);
  await use({
    scaleFactor: 8,
    scalingFactor: 1,
    decode: async (values, shape) =>
      floatsOf(await network.run({ latent_sample: float32(values, [1, ...shape]) }), 'sample'),
  });
}

test('tiles fade into each other as those of diffusers do', () =>
  withDecoder(async (decoder) => {
    const decoded = await tiledTinyVaeDecoder(decoder, TILE_PX).decode(latents.data, [channels, height, width]);
    assertClose(float32(decoded, expected.shape), expected, 1e-5);
    const whole = await decoder.decode(latents.data, [channels, height, width]);
    assert.throws(
      () => assertClose(float32(whole, expected.shape), expected, 1e-3),
      'without tiles it is another image',
    );
  }));

test('an image of one tile is what the decoder gives, bit for bit', () =>
  withDecoder(async (decoder) => {
    const shape = [channels, 2, 3] as const;
    const few = latents.data.slice(0, channels * 6);
    assert.deepEqual(await tiledTinyVaeDecoder(decoder, TILE_PX).decode(few, shape), await decoder.decode(few, shape));
  }));

test('an AutoencoderTiny of another factor than 8 is refused where tiles are asked for, with its factor', () => {
  const vae = (stages: number) => {
    const each = Array.from({ length: stages }, () => 4);
    const json = { decoder_block_out_channels: each, num_decoder_blocks: each };
    return {
      networkClass: AUTOENCODER_TINY,
      config: readConfig(AUTOENCODER_TINY, json, 'c').config,
      configPath: 'vae/c',
    };
  };
  requireTiles(vae(4));
  assert.throws(() => requireTiles(vae(3)), {
    code: 'unsupported_config',
    message: /^vae\/c: one latent becomes 4 pixels wide, so --vae-tiling cannot be used; .* need 8\.$/,
  });
});
