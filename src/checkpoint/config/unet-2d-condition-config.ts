/**
 * The configuration of UNet2DConditionModel.
 * Source: diffusers models/unets/unet_2d_condition.py, UNet2DConditionModel.__init__ (keys and defaults).
 */
import { z } from 'zod';
import type { ConfigRules } from './config-schema.ts';

const DOWN_BLOCKS = ['DownBlock2D', 'CrossAttnDownBlock2D'] as const;
const UP_BLOCKS = ['UpBlock2D', 'CrossAttnUpBlock2D'] as const;

const size = z.int().positive();
const perBlock = z.union([size, z.array(size)]);

const schema = z.object({
  sample_size: z.union([size, z.tuple([size, size])]).nullish(),
  in_channels: size.default(4),
  out_channels: size.default(4),
  center_input_sample: z.boolean().default(false),
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: z.number().default(0),
  down_block_types: z
    .array(z.enum(DOWN_BLOCKS))
    .min(1)
    .default(['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D']),
  mid_block_type: z.literal('UNetMidBlock2DCrossAttn').nullable().default('UNetMidBlock2DCrossAttn'),
  up_block_types: z
    .array(z.enum(UP_BLOCKS))
    .min(1)
    .default(['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D']),
  only_cross_attention: z.union([z.boolean(), z.array(z.boolean())]).default(false),
  block_out_channels: z.array(size).min(1).default([320, 640, 1280, 1280]),
  layers_per_block: perBlock.default(2),
  downsample_padding: z.int().nonnegative().default(1),
  mid_block_scale_factor: z.number().default(1),
  act_fn: z.enum(['silu', 'swish']).default('silu'),
  norm_num_groups: size.default(32),
  norm_eps: z.number().positive().default(1e-5),
  cross_attention_dim: perBlock.default(1280),
  transformer_layers_per_block: perBlock.default(1),
  attention_head_dim: perBlock.default(8),
  use_linear_projection: z.boolean().default(false),
  conv_in_kernel: size.default(3),
  conv_out_kernel: size.default(3),
  _diffusers_version: z.string().optional(),
});

/** Keys as in the file; several accept one value for all blocks or a list. */
export type UNet2DConditionConfig = z.infer<typeof schema>;

export const UNET_2D_CONDITION_RULES: ConfigRules<UNet2DConditionConfig> = {
  className: 'UNet2DConditionModel',
  implemented: schema,
  implementedKeys: Object.keys(schema.shape),
  withoutEffect: {
    dropout: 'training only',
    upcast_attention: 'attention is computed in float32 on the CPU, and scores are accumulated in float32 elsewhere',
    addition_embed_type_num_heads: 'read only when addition_embed_type is set',
    mid_block_only_cross_attention: 'read only by UNetMidBlock2DSimpleCrossAttn',
    class_embeddings_concat: 'read only when class_embed_type is set',
    projection_class_embeddings_input_dim: 'read only when class_embed_type or addition_embed_type is set',
    addition_time_embed_dim: 'read only when addition_embed_type is set',
    resnet_skip_time_act: 'read only by the ResnetDownsample and SimpleCrossAttn blocks',
    resnet_out_scale_factor: 'read only by the ResnetDownsample blocks',
    cross_attention_norm: 'read only by the SimpleCrossAttn blocks',
    reverse_transformer_layers_per_block:
      'read only when transformer_layers_per_block is a nested list, which is refused',
  },
  onlyDefault: {
    num_attention_heads: [null],
    dual_cross_attention: [false],
    encoder_hid_dim: [null],
    encoder_hid_dim_type: [null],
    class_embed_type: [null],
    num_class_embeds: [null],
    addition_embed_type: [null],
    resnet_time_scale_shift: ['default'],
    time_embedding_type: ['positional'],
    time_embedding_dim: [null],
    time_embedding_act_fn: [null],
    timestep_post_act: [null],
    time_cond_proj_dim: [null],
    attention_type: ['default'],
  },
};
