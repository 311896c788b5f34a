/**
 * A UNet in the original layout: what its config.json would say, read off the tensors, and the names of its tensors.
 * Source of the names: diffusers loaders/single_file_utils.py, DIFFUSERS_TO_LDM_MAPPING and convert_ldm_unet_checkpoint.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { FileTensors } from './file-tensors.ts';
import { type LdmBlocks, type LdmLevel, readLdmBlocks } from './ldm-unet-blocks.ts';
import { type NamePair, NameTable, pairs } from './name-table.ts';
import type { SingleFileNetwork } from './single-file-layout.ts';

/** The original layout's own prefix, with its dot. */
export const LDM_UNET_PREFIX = 'model.diffusion_model.';

export interface LdmUNetOptions {
  /** A number of heads in each block, or the channels of each head: no tensor says it. */
  readonly heads: { readonly perBlock: number } | { readonly channels: number };
  /** Facts that no tensor says, such as `sample_size`. */
  readonly more: Readonly<Record<string, unknown>>;
}

/** @throws `unsupported_config` */
export function readLdmUNet(tensors: FileTensors, { heads, more }: LdmUNetOptions): SingleFileNetwork {
  const blocks = readLdmBlocks(tensors, LDM_UNET_PREFIX);
  return {
    className: 'UNet2DConditionModel',
    json: { ...configOf(tensors, blocks), attention_head_dim: headsOf(blocks, heads), ...more },
    names: new NameTable(LDM_UNET_PREFIX, unetPairs(blocks)),
  };
}

function headsOf({ down }: LdmBlocks, heads: LdmUNetOptions['heads']): number | readonly number[] {
  if ('perBlock' in heads) return heads.perBlock;
  return down.map((level) => Math.max(1, Math.floor(channelsOf(level) / heads.channels)));
}

function channelsOf({ layers }: LdmLevel): number {
  return layers[0]?.channels ?? 0;
}

function configOf(tensors: FileTensors, blocks: LdmBlocks): Readonly<Record<string, unknown>> {
  const { down, up } = blocks;
  const shape = (name: string): readonly number[] => tensors.requiredShape(LDM_UNET_PREFIX + name);
  const firstAttention = [...down, ...up].flatMap(({ layers }) => layers).find(({ depth }) => depth !== undefined);
  const attention = firstAttention === undefined ? 'middle_block.1' : `${firstAttention.module}.1`;
  checkHalves(tensors, blocks);
  return {
    in_channels: shape('input_blocks.0.0.weight')[1],
    out_channels: shape('out.2.weight')[0],
    conv_in_kernel: shape('input_blocks.0.0.weight')[2],
    conv_out_kernel: shape('out.2.weight')[2],
    block_out_channels: down.map(channelsOf),
    layers_per_block: evened(down.map(({ layers }) => layers.length)),
    down_block_types: down.map((level) => (attends(tensors, level) ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    mid_block_type: middleType(blocks),
    up_block_types: up.map((level) => (attends(tensors, level) ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
    ...depthsOf(tensors, blocks),
    cross_attention_dim: shape(`${attention}.transformer_blocks.0.attn2.to_k.weight`)[1],
    use_linear_projection: shape(`${attention}.proj_in.weight`).length === 2,
    ...conditionsOf(tensors.shape(`${LDM_UNET_PREFIX}label_emb.0.0.weight`)),
  };
}

/** The vector beside the prompt: SDXL's sizes and pooled text. */
function conditionsOf(embedding: readonly number[] | undefined): Readonly<Record<string, unknown>> {
  if (embedding === undefined) return {};
  return {
    addition_embed_type: 'text_time',
    addition_time_embed_dim: 256,
    projection_class_embeddings_input_dim: embedding[1],
  };
}

function middleType({ middle }: LdmBlocks): string | null {
  if (middle === undefined) return null;
  return middle === 'resnet' ? 'UNetMidBlock2D' : 'UNetMidBlock2DCrossAttn';
}

/** diffusers says of a whole level whether it attends. @throws `unsupported_config` */
function attends(tensors: FileTensors, { layers }: LdmLevel): boolean {
  const attending = layers.filter(({ depth }) => depth !== undefined);
  if (attending.length === 0 || attending.length === layers.length) return attending.length > 0;
  const without = layers.find(({ depth }) => depth === undefined);
  throw refuse(tensors, `the UNet has attention in "${attending[0]?.module}" and none in "${without?.module}"`);
}

/** The way up mirrors the way down, with one more layer in each block. @throws `unsupported_config` */
function checkHalves(tensors: FileTensors, { down, up }: LdmBlocks): void {
  const expected = down.map(({ layers }) => layers.length + 1).toReversed();
  const found = up.map(({ layers }) => layers.length);
  if (expected.join() !== found.join())
    throw refuse(
      tensors,
      `the blocks of the UNet's way up have ${found.join(', ')} ResNets where those of the way down ask for ${expected.join(', ')}`,
    );
}

/** The depth of each attention, in the shortest form that diffusers reads. */
function depthsOf(tensors: FileTensors, { down, middle, up }: LdmBlocks): Readonly<Record<string, unknown>> {
  const depths = (levels: readonly LdmLevel[]): (number | readonly number[])[] =>
    levels.map(({ layers }) => evened(layers.map(({ depth = 1 }) => depth)));
  const downwards = depths(down);
  // The middle takes the last block's depth. A last block without attention has none of its own.
  if (typeof middle === 'number') {
    const last = down.at(-1) as LdmLevel;
    if (!attends(tensors, last)) downwards[down.length - 1] = middle;
    else if (last.layers[0]?.depth !== middle)
      throw refuse(
        tensors,
        `the attention of "${LDM_UNET_PREFIX}middle_block" has ${middle} transformer blocks, and that of "${last.layers[0]?.module}" ${last.layers[0]?.depth}`,
      );
  }
  const upwards = depths(up);
  const isMirror = up.every(
    (level, index) =>
      !attends(tensors, level) || JSON.stringify(upwards[index]) === JSON.stringify(downwards.at(-1 - index)),
  );
  return {
    transformer_layers_per_block: evened(downwards),
    ...(isMirror && !downwards.some((depth) => Array.isArray(depth))
      ? {}
      : { reverse_transformer_layers_per_block: upwards }),
  };
}

/** One value where all are equal. */
function evened<T>(values: readonly T[]): T | readonly T[] {
  const [first] = values;
  return first !== undefined && !Array.isArray(first) && values.every((value) => value === first) ? first : values;
}

function refuse(tensors: FileTensors, what: string): Text2ImgError {
  return new Text2ImgError('unsupported_config', `${tensors.path}: ${what}; this is not implemented.`);
}

const RESNET: Readonly<Record<string, string>> = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
};

const AROUND: Readonly<Record<string, string>> = {
  conv_in: 'input_blocks.0.0',
  'time_embedding.linear_1': 'time_embed.0',
  'time_embedding.linear_2': 'time_embed.2',
  'add_embedding.linear_1': 'label_emb.0.0',
  'add_embedding.linear_2': 'label_emb.0.2',
  conv_norm_out: 'out.0',
  conv_out: 'out.2',
};

function unetPairs({ down, middle, up }: LdmBlocks): readonly NamePair[] {
  return [
    ...pairs(AROUND),
    ...down.flatMap((level, index) => levelPairs(level, `down_blocks.${index}`, 'downsamplers.0.conv')),
    ...(middle === undefined ? [] : resnetPairs('mid_block.resnets.0', 'middle_block.0')),
    ...(typeof middle === 'number'
      ? [
          ...pairs({ 'mid_block.attentions.0': 'middle_block.1' }),
          ...resnetPairs('mid_block.resnets.1', 'middle_block.2'),
        ]
      : []),
    ...up.flatMap((level, index) => levelPairs(level, `up_blocks.${index}`, 'upsamplers.0.conv')),
  ];
}

function levelPairs({ layers, sampler }: LdmLevel, block: string, samplerName: string): readonly NamePair[] {
  return [
    ...layers.flatMap(({ module }, layer) => [
      ...resnetPairs(`${block}.resnets.${layer}`, `${module}.0`),
      ...pairs({ [`${block}.attentions.${layer}`]: `${module}.1` }),
    ]),
    ...(sampler === undefined ? [] : pairs({ [`${block}.${samplerName}`]: sampler })),
  ];
}

function resnetPairs(graph: string, stored: string): readonly NamePair[] {
  return Object.entries(RESNET).map(([name, old]) => ({ graph: `${graph}.${name}`, stored: `${stored}.${old}` }));
}
