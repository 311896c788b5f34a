/**
 * The configuration of UNet2DConditionModel.
 * Source: diffusers models/unets/unet_2d_condition.py, UNet2DConditionModel.__init__ (keys and defaults).
 */
import { z } from 'zod';
import {
  type ConfigRules,
  count,
  divisor,
  MAX_BLOCKS,
  normEpsilon,
  numberFrom,
  sampleSize,
  undividedChannels,
  wholeFrom,
} from '../lib/config-rules.ts';

const DOWN_BLOCKS = ['DownBlock2D', 'CrossAttnDownBlock2D'] as const;
const UP_BLOCKS = ['UpBlock2D', 'CrossAttnUpBlock2D'] as const;

/** For lists with an entry for each block. */
const list = <T extends z.ZodType>(entry: T): z.ZodArray<T> => z.array(entry).min(1).max(MAX_BLOCKS);
const perBlock = z.union(
  [count, list(count)],
  'allowed are whole numbers from 1 to 1000000, or a list of them with one for each block',
);
/** Padded by (kernel − 1) / 2 on both sides, so only odd kernels keep the size of the latents. */
const kernel = wholeFrom(1, 63).refine((size) => size % 2 === 1, 'allowed are odd whole numbers from 1 to 63');

const schema = z.object({
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
  mid_block_type: z.literal('UNetMidBlock2DCrossAttn').nullable().default('UNetMidBlock2DCrossAttn'),
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
  act_fn: z.enum(['silu', 'swish']).default('silu'),
  norm_num_groups: count.default(32),
  norm_eps: normEpsilon.default(1e-5),
  cross_attention_dim: perBlock.default(1280),
  transformer_layers_per_block: perBlock.default(1),
  attention_head_dim: perBlock.default(8),
  use_linear_projection: z.boolean().default(false),
  conv_in_kernel: kernel.default(3),
  conv_out_kernel: kernel.default(3),
  _diffusers_version: z.string().optional(),
});

/** Keys as in the file; several accept one value for all blocks or a list. */
export type UNet2DConditionConfig = z.infer<typeof schema>;

/** The settings of one block of the way down; the way up mirrors it. */
export interface UNetBlock {
  readonly channels: number;
  readonly layers: number;
  readonly heads: number;
  readonly transformerLayers: number;
  readonly onlyCrossAttention: boolean;
  readonly contextFeatures: number;
  /** Of the block down, and of the block up that mirrors it. */
  readonly crossAttention: { readonly down: boolean; readonly up: boolean };
}

/** The blocks with the lists of the configuration resolved, in the order of the way down. */
export function unetBlocks(config: UNet2DConditionConfig): readonly UNetBlock[] {
  const at = <T>(value: T | readonly T[], index: number): T =>
    Array.isArray(value) ? (value[index] as T) : (value as T);
  return config.down_block_types.map((type, index) => ({
    channels: config.block_out_channels[index] as number,
    layers: at(config.layers_per_block, index),
    // The key is a misnomer that all checkpoints share: it says how many heads there are.
    heads: at(config.attention_head_dim, index),
    transformerLayers: at(config.transformer_layers_per_block, index),
    onlyCrossAttention: at(config.only_cross_attention, index),
    contextFeatures: at(config.cross_attention_dim, index),
    crossAttention: {
      down: type === 'CrossAttnDownBlock2D',
      up: config.up_block_types.at(-1 - index) === 'CrossAttnUpBlock2D',
    },
  }));
}

/** Whether the block attends to the prompt anywhere; the middle block has the last block's settings. */
export function attends(
  { crossAttention: { down, up } }: UNetBlock,
  index: number,
  { down_block_types: types, mid_block_type: middle }: UNet2DConditionConfig,
): boolean {
  return down || up || (middle !== null && index === types.length - 1);
}

const LISTS = [
  'up_block_types',
  'block_out_channels',
  'layers_per_block',
  'attention_head_dim',
  'transformer_layers_per_block',
  'only_cross_attention',
  'cross_attention_dim',
] as const satisfies readonly (keyof UNet2DConditionConfig)[];

function contradiction(config: UNet2DConditionConfig): string | undefined {
  return (
    unequalLists(config) ??
    undividedChannels(config.block_out_channels, config.norm_num_groups) ??
    undividedHeads(config) ??
    infiniteFrequencies(config) ??
    unmatchedPadding(config)
  );
}

function unequalLists(config: UNet2DConditionConfig): string | undefined {
  const blocks = config.down_block_types.length;
  for (const key of LISTS) {
    const value = config[key];
    if (Array.isArray(value) && value.length !== blocks)
      return `"${key}" has ${value.length} entries, but "down_block_types" has ${blocks}; they must be as many`;
  }
  return undefined;
}

function undividedHeads(config: UNet2DConditionConfig): string | undefined {
  const wrong = unetBlocks(config).find(
    (block, index) => attends(block, index, config) && block.channels % block.heads !== 0,
  );
  if (wrong === undefined) return undefined;
  const { heads, channels } = wrong;
  return `"attention_head_dim" gives ${heads} heads to a block whose "block_out_channels" are ${channels}; allowed are divisors of ${channels}`;
}

/** e^88 is about the largest power of e that float32 holds. */
const LARGEST_EXPONENT = 88;

/** The timestep's frequencies are 10000^(−index / (half − freq_shift)). */
function infiniteFrequencies({
  block_out_channels: channels,
  freq_shift: shift,
}: UNet2DConditionConfig): string | undefined {
  const half = Math.floor((channels[0] as number) / 2);
  if (half === 0)
    return `"block_out_channels" begins with ${channels[0]}; the timestep’s frequencies need at least 2 channels`;
  const largest = (-Math.log(10_000) * (half - 1)) / (half - shift);
  if (half !== shift && largest <= LARGEST_EXPONENT) return undefined;
  return `"freq_shift" is ${shift}; allowed are numbers well below ${half}, which is half of the first of "block_out_channels"`;
}

/** With other paddings the way down does not halve, and the way up, which doubles, does not meet it. */
function unmatchedPadding({
  down_block_types: types,
  downsample_padding: padding,
}: UNet2DConditionConfig): string | undefined {
  if (types.length === 1 || padding === 0 || padding === 1) return undefined;
  return `"downsample_padding" is ${padding}, so the sizes of the up and down blocks differ; allowed are 0 and 1`;
}

export const UNET_2D_CONDITION_RULES: ConfigRules<UNet2DConditionConfig> = {
  implemented: schema,
  implementedKeys: Object.keys(schema.shape),
  withoutEffect: {
    dropout: 'training only',
    upcast_attention: 'attention is computed in float32 on the CPU, and scores are accumulated in float32 elsewhere',
    addition_embed_type_num_heads: 'read only when addition_embed_type is set',
    mid_block_only_cross_attention: 'read only by UNetMidBlock2DSimpleCrossAttn',
    projection_class_embeddings_input_dim: 'read only when class_embed_type or addition_embed_type is set',
    addition_time_embed_dim: 'read only when addition_embed_type is set',
    resnet_skip_time_act: 'read only by the ResnetDownsample and SimpleCrossAttn blocks',
    resnet_out_scale_factor: 'read only by the ResnetDownsample blocks',
    cross_attention_norm: 'read only by the SimpleCrossAttn blocks',
  },
  contradiction,
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
    class_embeddings_concat: [false, null],
    reverse_transformer_layers_per_block: [null],
  },
};
