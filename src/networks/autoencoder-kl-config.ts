/**
 * The configuration of AutoencoderKL, as far as the decoder needs it.
 * Source: diffusers models/autoencoders/autoencoder_kl.py, AutoencoderKL.__init__ (keys and defaults).
 */
import { z } from 'zod';
import { type ConfigRules, count, numberFrom, sampleSize, undividedChannels } from '../lib/config-rules.ts';

/** One latent becomes up to 2^8 pixels wide and high. */
const MAX_VAE_BLOCKS = 9;

const schema = z.object({
  out_channels: count.default(3),
  up_block_types: z.array(z.literal('UpDecoderBlock2D')).min(1).max(MAX_VAE_BLOCKS).default(['UpDecoderBlock2D']),
  block_out_channels: z.array(count).min(1).max(MAX_VAE_BLOCKS).default([64]),
  layers_per_block: count.default(1),
  act_fn: z.enum(['silu', 'swish']).default('silu'),
  latent_channels: count.default(4),
  norm_num_groups: count.default(32),
  sample_size: sampleSize.default(32),
  // Latents are divided by it; every published autoencoder has it between 0.01 and 10.
  scaling_factor: numberFrom(1e-4, 1e4).default(0.18215),
  // Read by the XL pipelines only, and only both together.
  latents_mean: z.array(numberFrom(-1e6, 1e6)).nullish(),
  latents_std: z.array(numberFrom(-1e6, 1e6)).nullish(),
  mid_block_add_attention: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  // True: the decoder overflows in float16. diffusers' default is true, but its Stable Diffusion 1.x pipelines do not read the key. Most of their
  // autoencoders fit, so a missing key means false here. The XL pipelines read it, and their files have it. diffusers declares a float.
  force_upcast: z.union([z.boolean(), z.number()], 'allowed are true, false and numbers').nullish(),
});

export type AutoencoderKlConfig = z.infer<typeof schema>;

export const AUTOENCODER_KL_RULES: ConfigRules<AutoencoderKlConfig> = {
  implemented: schema,
  implementedKeys: Object.keys(schema.shape),
  withoutEffect: {
    in_channels: 'the encoder only',
    down_block_types: 'the encoder only',
    use_quant_conv: 'the encoder only',
    shift_factor: 'not read by the Stable Diffusion pipelines',
  },
  onlyDefault: {},
  contradiction: ({ block_out_channels: channels, up_block_types: types, norm_num_groups: groups }) =>
    types.length === channels.length
      ? undividedChannels(channels, groups)
      : `"up_block_types" has ${types.length} entries, but "block_out_channels" has ${channels.length}; they must be as many`,
};
