/** Values of a component's configuration: each has a range, together they must make sense, and whatever stands there is read or refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AUTOENCODER_KL } from '../../src/networks/autoencoder-kl.ts';
import { AUTOENCODER_TINY } from '../../src/networks/autoencoder-tiny.ts';
import { CLIP_TEXT_MODEL, CLIP_TEXT_MODEL_WITH_PROJECTION } from '../../src/networks/clip-text-model.ts';
import { type ConfiguredClass, readConfig } from '../../src/lib/config-rules.ts';
import { UNET_2D_CONDITION_MODEL } from '../../src/networks/unet-2d-condition-model.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';

const UNET = {
  block_out_channels: [40, 80],
  down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
  norm_num_groups: 20,
  attention_head_dim: [5, 4],
};
const VAE = {
  block_out_channels: [12, 30],
  up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
  norm_num_groups: 6,
};
const TEXT = { hidden_size: 48, num_attention_heads: 6 };

const XL = { addition_embed_type: 'text_time', addition_time_embed_dim: 8, projection_class_embeddings_input_dim: 80 };

const COMPONENTS = {
  unet: { owner: UNET_2D_CONDITION_MODEL as ConfiguredClass<unknown>, json: UNET },
  vae: { owner: AUTOENCODER_KL as ConfiguredClass<unknown>, json: VAE },
  tiny: { owner: AUTOENCODER_TINY as ConfiguredClass<unknown>, json: {} },
  text: { owner: CLIP_TEXT_MODEL as ConfiguredClass<unknown>, json: TEXT },
  projected: { owner: CLIP_TEXT_MODEL_WITH_PROJECTION as ConfiguredClass<unknown>, json: { ...TEXT, eos_token_id: 2 } },
} as const;

type Component = keyof typeof COMPONENTS;

function read(component: Component, changes: Readonly<Record<string, unknown>>): readonly string[] {
  const { owner, json } = COMPONENTS[component];
  return readConfig(owner, { ...json, ...changes }, 'some/config.json').warnings;
}

test('the configurations that the cases below change are read without a warning', () => {
  for (const component of Object.keys(COMPONENTS) as Component[]) assert.deepEqual(read(component, {}), []);
});

const refused: readonly (readonly [Component, Readonly<Record<string, unknown>>, ...RegExp[]])[] = [
  ['unet', { norm_num_groups: 25 }, /"norm_num_groups" is 25/, /40, 80 of "block_out_channels"/],
  ['unet', { norm_num_groups: 16 }, /"norm_num_groups" is 16/, /divide 40 of/],
  ['unet', { norm_num_groups: 0 }, /"norm_num_groups" is 0/, /from 1/],
  ['unet', { norm_eps: 0 }, /"norm_eps" is 0/, /allowed are numbers from/],
  ['unet', { norm_eps: -1e-5 }, /"norm_eps" is -0.00001/],
  ['unet', { attention_head_dim: [7, 4] }, /"attention_head_dim" gives 7 heads/, /40/],
  ['unet', { attention_head_dim: 3 }, /"attention_head_dim" gives 3 heads/],
  ['unet', { attention_head_dim: [5] }, /"attention_head_dim" has 1 entries.*2/],
  ['unet', { cross_attention_dim: [8, 8, 8] }, /"cross_attention_dim" has 3 entries.*2/],
  ['unet', { only_cross_attention: [true] }, /"only_cross_attention" has 1 entries/],
  ['unet', { up_block_types: ['UpBlock2D'] }, /"up_block_types" has 1 entries/],
  ['unet', { downsample_padding: 2 }, /"downsample_padding" is 2.*0 and 1/],
  ['unet', { downsample_padding: -1 }, /"downsample_padding" is -1/],
  ['unet', { mid_block_scale_factor: 0 }, /"mid_block_scale_factor" is 0.*divided/],
  ['unet', { mid_block_scale_factor: 1e-40 }, /"mid_block_scale_factor" is 1e-40/],
  ['unet', { mid_block_scale_factor: 1e39 }, /"mid_block_scale_factor" is 1e\+39/],
  ['unet', { freq_shift: 20 }, /"freq_shift" is 20;.*below 20, which is half of/],
  ['unet', { freq_shift: 20.01 }, /"freq_shift" is 20.01/],
  ['unet', { conv_in_kernel: 2 }, /"conv_in_kernel" is 2.*odd/],
  ['unet', { conv_out_kernel: 4 }, /"conv_out_kernel" is 4.*odd/],
  ['unet', { sample_size: 10 ** 8 }, /"sample_size" is 100000000.*1 to 16384/],
  ['unet', { sample_size: [64, 64, 64] }, /"sample_size" is \[64,64,64\]/],
  ['unet', { layers_per_block: [1, 1.5] }, /"layers_per_block" is \[1,1.5\].*whole numbers/],
  ['unet', { in_channels: 2 ** 40 }, /"in_channels" is 1099511627776/],
  ['unet', { transformer_layers_per_block: [1, [1, 2]] }, /"reverse_transformer_layers_per_block" must say/],
  ['unet', { transformer_layers_per_block: [1, -1] }, /"transformer_layers_per_block" is \[1,-1\].*from 0/],
  [
    'unet',
    { layers_per_block: 3, transformer_layers_per_block: [[1, 1], 1], reverse_transformer_layers_per_block: [1, 1] },
    /"transformer_layers_per_block" has 2 numbers for a block of 3 layers/,
  ],
  ['unet', { reverse_transformer_layers_per_block: [1, [1, 1]] }, /"reverse_.*" has 2 numbers for a block of 3 layers/],
  ['unet', { reverse_transformer_layers_per_block: [1] }, /"reverse_.*" has 1 entries.*2/],
  ['unet', { addition_embed_type: 'text_time' }, /"text_time", but "addition_time_embed_dim" is missing/],
  [
    'unet',
    { ...XL, projection_class_embeddings_input_dim: null },
    /"projection_class_embeddings_input_dim" is missing/,
  ],
  ['unet', { ...XL, projection_class_embeddings_input_dim: 48 }, /is 48, which leaves nothing .* 6 × 8/],
  ['unet', { ...XL, freq_shift: 4 }, /"freq_shift" is 4;.*half of "addition_time_embed_dim"/],
  ['unet', { ...XL, addition_time_embed_dim: 1 }, /"addition_time_embed_dim" is 1/],
  ['unet', { time_cond_proj_dim: 0 }, /"time_cond_proj_dim" is 0/],
  ['vae', { norm_num_groups: 4 }, /"norm_num_groups" is 4/, /divide 30 of/],
  ['vae', { scaling_factor: 1e-40 }, /"scaling_factor" is 1e-40.*0.0001 to 10000/],
  ['vae', { scaling_factor: 0 }, /"scaling_factor" is 0/],
  ['vae', { scaling_factor: -0.18215 }, /"scaling_factor" is -0.18215/],
  ['vae', { up_block_types: ['UpDecoderBlock2D'] }, /"up_block_types" has 1 entries.*2/],
  ['vae', { sample_size: 0 }, /"sample_size" is 0/],
  ['tiny', { decoder_block_out_channels: [64, 64] }, /"num_decoder_blocks" has 4 entries.*2/],
  ['tiny', { encoder_block_out_channels: [64, 64, 32, 64] }, /"encoder_block_out_channels" has the numbers 64, 32/],
  ['tiny', { num_decoder_blocks: [3, 3, 3, -1] }, /"num_decoder_blocks" is \[3,3,3,-1\]/],
  ['tiny', { scaling_factor: 0 }, /"scaling_factor" is 0/],
  ['text', { num_attention_heads: 5 }, /"num_attention_heads" is 5/, /48/],
  ['text', { max_position_embeddings: 10 ** 6 }, /"max_position_embeddings" is 1000000.*2048/],
  ['text', { layer_norm_eps: 1e-50 }, /"layer_norm_eps" is 1e-50/],
  ['projected', { num_attention_heads: 5 }, /"num_attention_heads" is 5/, /48/],
  ['projected', { projection_dim: 0 }, /"projection_dim" is 0.*1 to 1000000/],
  ['projected', { projection_dim: null }, /"projection_dim" is null/],
  ['projected', { eos_token_id: [2, 49407] }, /"eos_token_id" is \[2,49407\].*whole numbers/],
];

for (const [component, changes, ...says] of refused) {
  test(`${component} with ${JSON.stringify(changes)} is refused as invalid_config`, () => {
    assert.throws(
      () => read(component, changes),
      (error) => {
        assert.ok(error instanceof Text2ImgError, String(error));
        assert.equal(error.code, 'invalid_config');
        for (const pattern of [/^some\/config\.json: /, ...says]) assert.match(error.message, pattern);
        return true;
      },
    );
  });
}

const unsupported: readonly (readonly [Component, string, unknown])[] = [
  // Versatile Diffusion, DeepFloyd IF, Kandinsky, GLIGEN, the latent upscaler, and blocks that none of this class's text-to-image checkpoints has.
  ['unet', 'dual_cross_attention', true],
  ['unet', 'addition_embed_type', 'text'],
  ['unet', 'addition_embed_type', 'text_image'],
  ['unet', 'encoder_hid_dim', 4096],
  ['unet', 'encoder_hid_dim_type', 'image_proj'],
  ['unet', 'class_embed_type', 'timestep'],
  ['unet', 'num_class_embeds', 1000],
  ['unet', 'class_embeddings_concat', true],
  ['unet', 'time_embedding_type', 'fourier'],
  ['unet', 'time_embedding_dim', 64],
  ['unet', 'time_embedding_act_fn', 'silu'],
  ['unet', 'timestep_post_act', 'gelu'],
  ['unet', 'attention_type', 'gated'],
  ['unet', 'num_attention_heads', 8],
  ['unet', 'act_fn', 'tanh'],
  ['unet', 'resnet_time_scale_shift', 'ada_group'],
  ['unet', 'mid_block_type', 'UNetMidBlock2DSimpleCrossAttn'],
  ['tiny', 'upsample_fn', 'bilinear'],
  ['tiny', 'upsampling_scaling_factor', 4],
  ['tiny', 'act_fn', 'tanh'],
  ['text', 'hidden_act', 'relu'],
];

for (const [component, key, value] of unsupported) {
  test(`${component} with "${key}" ${JSON.stringify(value)} is refused as unsupported_config, by name and value`, () => {
    assert.throws(
      () => read(component, { [key]: value }),
      (error) => {
        assert.ok(error instanceof Text2ImgError, String(error));
        assert.equal(error.code, 'unsupported_config');
        assert.ok(error.message.startsWith(`some/config.json: "${key}" is ${JSON.stringify(value)}`), error.message);
        return true;
      },
    );
  });
}

test('options of XL, of latent consistency models and of distilled ones are read without a warning', () => {
  assert.deepEqual(read('unet', XL), []);
  assert.deepEqual(read('unet', { time_cond_proj_dim: 256 }), []);
  // The numbers of blocks without attention are not read.
  const depths = {
    transformer_layers_per_block: [[2, 0], [1]],
    reverse_transformer_layers_per_block: [[0], [4, 4, 10]],
  };
  assert.deepEqual(read('unet', { ...depths, mid_block_type: 'UNetMidBlock2D' }), []);
});

test('heads need to divide only the channels of blocks that attend', () => {
  // The second block attends neither down nor up, and there is no middle.
  assert.deepEqual(read('unet', { attention_head_dim: [5, 7], mid_block_type: null }), []);
});

test('a UNet of one block has nothing to meet again, whatever its padding', () => {
  const one = {
    block_out_channels: [40],
    down_block_types: ['CrossAttnDownBlock2D'],
    up_block_types: ['CrossAttnUpBlock2D'],
    attention_head_dim: 5,
  };
  assert.deepEqual(read('unet', { ...one, downsample_padding: 3 }), []);
});

test('many unknown keys are one short warning with their number, and names of a prototype are keys like others', () => {
  const [one] = read('vae', { valueOf: 1 });
  assert.match(one ?? '', /has no key "valueOf"; it is ignored/);
  const keys = Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`${'k'.repeat(400)}${index}`, index]));
  const warnings = read('unet', { ...keys, hasOwnProperty: 1, ['__proto__']: 2 });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /and 2996 more; they are ignored/);
  assert.ok((warnings[0] ?? '').length < 600);
});

test('a value of any depth is refused without an overflow of the stack', () => {
  const deep = JSON.parse('{"a":'.repeat(50_000) + '1' + '}'.repeat(50_000)) as unknown;
  assert.throws(() => read('unet', { time_embedding_type: deep }), { code: 'unsupported_config' });
  assert.throws(() => read('unet', { sample_size: deep }), { code: 'invalid_config' });
});

test('whatever value a key has, it is read or refused with a code of the model and a sentence of at most 600 characters', () => {
  for (const [component, { owner }] of Object.entries(COMPONENTS) as [
    Component,
    { owner: ConfiguredClass<unknown> },
  ][]) {
    const { rules } = owner;
    const keys = [...rules.implementedKeys, ...Object.keys(rules.onlyDefault)];
    const value = fc.oneof(fc.jsonValue(), fc.double(), fc.integer(), fc.array(fc.integer()));
    fc.assert(
      fc.property(fc.constantFrom(...keys), value, (key, changed) => {
        try {
          read(component, { [key]: changed });
        } catch (error) {
          assert.ok(error instanceof Text2ImgError && error.fault === 'model', String(error));
          assert.ok(
            error.message.includes(`"${key}"`) || /"(down|up|num_\w+)_block(s|_types)"/.test(error.message),
            error.message,
          );
          assert.ok(error.message.length <= 600);
        }
      }),
      { numRuns: 500 },
    );
  }
});
