/**
 * The configuration of AutoencoderKL, as far as the decoder needs it.
 * Source: diffusers models/autoencoders/autoencoder_kl.py, AutoencoderKL.__init__ (keys and defaults).
 */
import { z } from 'zod';
import type { ConfigRules } from './config-schema.ts';

const size = z.int().positive();

const schema = z.object({
  out_channels: size.default(3),
  up_block_types: z.array(z.literal('UpDecoderBlock2D')).min(1).default(['UpDecoderBlock2D']),
  block_out_channels: z.array(size).min(1).default([64]),
  layers_per_block: size.default(1),
  act_fn: z.enum(['silu', 'swish']).default('silu'),
  latent_channels: size.default(4),
  norm_num_groups: size.default(32),
  sample_size: z.union([size, z.tuple([size, size])]).default(32),
  scaling_factor: z.number().positive().default(0.18215),
  mid_block_add_attention: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
});

export type AutoencoderKlConfig = z.infer<typeof schema>;

export const AUTOENCODER_KL_RULES: ConfigRules<AutoencoderKlConfig> = {
  className: 'AutoencoderKL',
  implemented: schema,
  implementedKeys: Object.keys(schema.shape),
  withoutEffect: {
    in_channels: 'the encoder only',
    down_block_types: 'the encoder only',
    use_quant_conv: 'the encoder only',
    shift_factor: 'not read by the Stable Diffusion pipelines',
    latents_mean: 'read only by the XL pipelines',
    latents_std: 'read only by the XL pipelines',
    force_upcast: 'the decoder computes in float32',
  },
  onlyDefault: {},
};
