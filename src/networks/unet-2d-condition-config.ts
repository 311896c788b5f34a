/**
 * The configuration of UNet2DConditionModel.
 * Source: diffusers models/unets/unet_2d_condition.py, UNet2DConditionModel.__init__ (keys and defaults).
 */
import { z } from 'zod';
import { count, divisor, MAX_BLOCKS, normEpsilon, numberFrom, sampleSize, wholeFrom } from '../lib/config-rules.ts';
import { ACTIVATIONS } from './activation.ts';

const DOWN_BLOCKS = ['DownBlock2D', 'CrossAttnDownBlock2D'] as const;
const UP_BLOCKS = ['UpBlock2D', 'CrossAttnUpBlock2D'] as const;
const MIDDLE_BLOCKS = ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D'] as const;

/** For lists with an entry for each block. */
const list = <T extends z.ZodType>(entry: T): z.ZodArray<T> => z.array(entry).min(1).max(MAX_BLOCKS);
const perBlock = z.union(
  [count, list(count)],
  'allowed are whole numbers from 1 to 1000000, or a list of them with one for each block',
);
/** Layers of a transformer, which may be none. */
const depth = wholeFrom(0, 1_000_000);
const depthPerBlock = z.union(
  [depth, z.array(depth).min(1).max(100)],
  'allowed are whole numbers from 0 to 1000000, or lists of them',
);
/** Padded by (kernel − 1) / 2 on both sides, so only odd kernels keep the size of the latents. */
const kernel = wholeFrom(1, 63).refine((size) => size % 2 === 1, 'allowed are odd whole numbers from 1 to 63');

export const UNET_2D_CONDITION_SCHEMA = z.object({
  sample_size: sampleSize.nullish(),
  in_channels: count.default(4),
  out_channels: count.default(4),
  center_input_sample: z.boolean().default(false),
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: numberFrom(-1e6, 1e6).default(0),
  down_block_types: list(z.enum(DOWN_BLOCKS)).default([
    'CrossAttnDownBlock2D',
    'CrossAttnDownBlock2D',
    'CrossAttnDownBlock2D',
    'DownBlock2D',
  ]),
  mid_block_type: z.enum(MIDDLE_BLOCKS).nullable().default('UNetMidBlock2DCrossAttn'),
  up_block_types: list(z.enum(UP_BLOCKS)).default([
    'UpBlock2D',
    'CrossAttnUpBlock2D',
    'CrossAttnUpBlock2D',
    'CrossAttnUpBlock2D',
  ]),
  only_cross_attention: z.union([z.boolean(), list(z.boolean())]).default(false),
  block_out_channels: list(count).default([320, 640, 1280, 1280]),
  layers_per_block: perBlock.default(2),
  downsample_padding: z.int().default(1),
  mid_block_scale_factor: divisor.default(1),
  act_fn: z.enum(ACTIVATIONS).default('silu'),
  norm_num_groups: count.default(32),
  norm_eps: normEpsilon.default(1e-5),
  cross_attention_dim: perBlock.default(1280),
  transformer_layers_per_block: z
    .union(
      [depth, list(depthPerBlock)],
      'allowed are whole numbers from 0 to 1000000, or a list with a number or a list of numbers for each block',
    )
    .default(1),
  // In the order of the way up. Without it the way up mirrors the way down.
  reverse_transformer_layers_per_block: list(depthPerBlock).nullish(),
  attention_head_dim: perBlock.default(8),
  use_linear_projection: z.boolean().default(false),
  resnet_time_scale_shift: z.enum(['default', 'scale_shift']).default('default'),
  // The guidance scale's embedding, as wide as this says, goes in beside the timestep.
  time_cond_proj_dim: count.nullish(),
  addition_embed_type: z.literal('text_time').nullish(),
  addition_time_embed_dim: count.nullish(),
  projection_class_embeddings_input_dim: count.nullish(),
  conv_in_kernel: kernel.default(3),
  conv_out_kernel: kernel.default(3),
  _diffusers_version: z.string().optional(),
});

/** Keys as in the file; several accept one value for all blocks or a list. */
export type UNet2DConditionConfig = z.infer<typeof UNET_2D_CONDITION_SCHEMA>;

/** The two halves of the network. */
type Half = 'down' | 'up';

/** The settings of one block of the way down, and of the block up that mirrors it. */
export interface UNetBlock {
  readonly channels: number;
  /** Of the block down; the block up has one more. */
  readonly layers: number;
  readonly heads: number;
  readonly onlyCrossAttention: boolean;
  readonly contextFeatures: number;
  readonly crossAttention: Readonly<Record<Half, boolean>>;
  /** One number for all layers of the block, or one for each. */
  readonly transformerLayers: Readonly<Record<Half, number | readonly number[]>>;
}

/** The blocks with the lists of the configuration resolved, in the order of the way down. */
export function unetBlocks(config: UNet2DConditionConfig): readonly UNetBlock[] {
  const at = <T>(value: T | readonly T[], index: number): T =>
    Array.isArray(value) ? (value.at(index) as T) : (value as T);
  return config.down_block_types.map((type, index) => ({
    channels: config.block_out_channels[index] as number,
    layers: at(config.layers_per_block, index),
    // The key is a misnomer that all checkpoints share: it says how many heads there are.
    heads: at(config.attention_head_dim, index),
    onlyCrossAttention: at(config.only_cross_attention, index),
    contextFeatures: at(config.cross_attention_dim, index),
    crossAttention: {
      down: type === 'CrossAttnDownBlock2D',
      up: config.up_block_types.at(-1 - index) === 'CrossAttnUpBlock2D',
    },
    transformerLayers: {
      down: at<number | readonly number[]>(config.transformer_layers_per_block, index),
      up:
        config.reverse_transformer_layers_per_block?.at(-1 - index) ??
        at<number | readonly number[]>(config.transformer_layers_per_block, index),
    },
  }));
}

/** Whether the block attends to the prompt anywhere; the middle block has the last block's settings. */
export function attends(
  { crossAttention: { down, up } }: UNetBlock,
  index: number,
  { down_block_types: types, mid_block_type: middle }: UNet2DConditionConfig,
): boolean {
  return down || up || (middle === 'UNetMidBlock2DCrossAttn' && index === types.length - 1);
}

/** original_size, crops_coords_top_left and target_size, two numbers each. */
export const TIME_IDS = 6;

/** How wide the embedding of the whole prompt (`text_embeds`) is; undefined for a UNet that takes none. */
export function pooledFeatures({
  addition_embed_type: type,
  addition_time_embed_dim: each,
  projection_class_embeddings_input_dim: all,
}: UNet2DConditionConfig): number | undefined {
  return type === 'text_time' ? (all ?? 0) - TIME_IDS * (each ?? 0) : undefined;
}
