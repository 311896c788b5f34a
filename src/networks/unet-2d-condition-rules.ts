/**
 * The rules of a configuration of UNet2DConditionModel: values that contradict each other, keys without effect, and options that are refused. No
 * text-to-image checkpoint of this class has the refused ones.
 */
import { type ConfigRules, undividedChannels } from '../lib/config-rules.ts';
import {
  attends,
  pooledFeatures,
  TIME_IDS,
  UNET_2D_CONDITION_SCHEMA,
  type UNet2DConditionConfig,
  unetBlocks,
} from './unet-2d-condition-config.ts';

const LISTS = [
  'up_block_types',
  'block_out_channels',
  'layers_per_block',
  'attention_head_dim',
  'transformer_layers_per_block',
  'reverse_transformer_layers_per_block',
  'only_cross_attention',
  'cross_attention_dim',
] as const satisfies readonly (keyof UNet2DConditionConfig)[];

function contradiction(config: UNet2DConditionConfig): string | undefined {
  return (
    unequalLists(config) ??
    undividedChannels(config.block_out_channels, config.norm_num_groups) ??
    undividedHeads(config) ??
    missingDepths(config) ??
    missingSizes(config) ??
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

/** A block with a number for each of its layers needs as many; what stands behind them is not read. */
function missingDepths(config: UNet2DConditionConfig): string | undefined {
  const { transformer_layers_per_block: depths, reverse_transformer_layers_per_block: reversed } = config;
  if (Array.isArray(depths) && depths.some(Array.isArray) && (reversed ?? null) === null)
    return '"transformer_layers_per_block" has a list for one block; "reverse_transformer_layers_per_block" must say the way up then';
  for (const { layers, crossAttention, transformerLayers } of unetBlocks(config))
    for (const [half, key, needed] of [
      ['down', 'transformer_layers_per_block', layers],
      ['up', 'reverse_transformer_layers_per_block', layers + 1],
    ] as const) {
      const given = transformerLayers[half];
      if (crossAttention[half] && typeof given !== 'number' && given.length < needed)
        return `"${key}" has ${given.length} numbers for a block of ${needed} layers; it needs one for each`;
    }
  return undefined;
}

function missingSizes(config: UNet2DConditionConfig): string | undefined {
  const { addition_time_embed_dim: each, projection_class_embeddings_input_dim: all } = config;
  const pooled = pooledFeatures(config);
  if (pooled === undefined) return undefined;
  for (const [key, value] of Object.entries({
    addition_time_embed_dim: each,
    projection_class_embeddings_input_dim: all,
  }))
    if ((value ?? null) === null) return `"addition_embed_type" is "text_time", but "${key}" is missing`;
  if (pooled > 0) return undefined;
  return `"projection_class_embeddings_input_dim" is ${all}, which leaves nothing for the prompt beside ${TIME_IDS} × ${each} ("addition_time_embed_dim")`;
}

/** e^88 is about the largest power of e that float32 holds. */
const LARGEST_EXPONENT = 88;

/** The frequencies of a timestep or a size are 10000^(−index / (half − freq_shift)), where half is half of its channels. */
function infiniteFrequencies(config: UNet2DConditionConfig): string | undefined {
  const { block_out_channels: channels, addition_time_embed_dim: each, freq_shift: shift } = config;
  const embeddings = [
    { key: 'block_out_channels', about: 'the first of "block_out_channels"', width: channels[0] as number },
  ];
  if (pooledFeatures(config) !== undefined)
    embeddings.push({ key: 'addition_time_embed_dim', about: '"addition_time_embed_dim"', width: each ?? 0 });
  for (const { key, about, width } of embeddings) {
    const half = Math.floor(width / 2);
    if (half === 0) return `"${key}" is ${width}, or begins with it; the frequencies need at least 2 channels`;
    const largest = (-Math.log(10_000) * (half - 1)) / (half - shift);
    if (half === shift || largest > LARGEST_EXPONENT)
      return `"freq_shift" is ${shift}; allowed are numbers well below ${half}, which is half of ${about}`;
  }
  return undefined;
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
  implemented: UNET_2D_CONDITION_SCHEMA,
  implementedKeys: Object.keys(UNET_2D_CONDITION_SCHEMA.shape),
  withoutEffect: {
    dropout: 'training only',
    upcast_attention: 'attention is computed in float32 on the CPU, and scores are accumulated in float32 elsewhere',
    addition_embed_type_num_heads: 'read only when addition_embed_type is "text"',
    mid_block_only_cross_attention: 'read only by UNetMidBlock2DSimpleCrossAttn',
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
    time_embedding_type: ['positional'],
    time_embedding_dim: [null],
    time_embedding_act_fn: [null],
    timestep_post_act: [null],
    attention_type: ['default'],
    class_embeddings_concat: [false, null],
  },
};
