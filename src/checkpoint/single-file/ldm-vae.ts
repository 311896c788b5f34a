/**
 * An autoencoder in the original layout: what its config.json would say, read off the decoder, and the names of its tensors.
 * Source of the names: diffusers loaders/single_file_utils.py, DIFFUSERS_TO_LDM_MAPPING and convert_ldm_vae_checkpoint.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { FileTensors } from './file-tensors.ts';
import { type NamePair, NameTable, pairs } from './name-table.ts';
import type { SingleFileNetwork } from './single-file-layout.ts';

/** The original layout's own prefix, with its dot. */
const PREFIX = 'first_stage_model.';

/** Whether the file has the decoder of such an autoencoder. */
export function hasLdmVae(tensors: FileTensors, prefix = PREFIX): boolean {
  return tensors.has(`${prefix}decoder.conv_in.weight`) && tensors.hasModule(`${prefix}decoder.up.0`);
}

/**
 * @param more facts that no tensor says, such as `scaling_factor`
 * @throws `unsupported_config`
 */
export function readLdmVae(
  tensors: FileTensors,
  more: Readonly<Record<string, unknown>>,
  prefix = PREFIX,
): SingleFileNetwork {
  const levels = tensors.count(`${prefix}decoder.up`);
  const shape = (name: string): readonly number[] => tensors.requiredShape(prefix + name);
  const channels = Array.from({ length: levels }, (_, level) => shape(`decoder.up.${level}.block.0.conv2.weight`)[0]);
  return {
    className: 'AutoencoderKL',
    json: {
      in_channels: 3,
      out_channels: shape('decoder.conv_out.weight')[0],
      latent_channels: shape('decoder.conv_in.weight')[1],
      block_out_channels: channels,
      layers_per_block: layersPerBlock(tensors, prefix, levels),
      down_block_types: channels.map(() => 'DownEncoderBlock2D'),
      up_block_types: channels.map(() => 'UpDecoderBlock2D'),
      mid_block_add_attention: tensors.hasModule(`${prefix}decoder.mid.attn_1`),
      use_quant_conv: tensors.has(`${prefix}quant_conv.weight`),
      use_post_quant_conv: tensors.has(`${prefix}post_quant_conv.weight`),
      ...more,
    },
    names: new NameTable(prefix, vaePairs(levels, Math.max(...layerCounts(tensors, prefix, levels)))),
  };
}

function layerCounts(tensors: FileTensors, prefix: string, levels: number): readonly number[] {
  return Array.from({ length: levels }, (_, level) => tensors.count(`${prefix}decoder.up.${level}.block`));
}

/** The decoder has one more in each block than the key says. @throws `unsupported_config` */
function layersPerBlock(tensors: FileTensors, prefix: string, levels: number): number {
  const counts = layerCounts(tensors, prefix, levels);
  const [first = 0] = counts;
  if (first > 1 && counts.every((count) => count === first)) return first - 1;
  throw new Text2ImgError(
    'unsupported_config',
    `${tensors.path}: the blocks of "${prefix}decoder.up" have ${counts.join(', ')} ResNets; only equal numbers from 2 are implemented.`,
  );
}

const RESNET: Readonly<Record<string, string>> = { conv_shortcut: 'nin_shortcut' };
const ATTENTION: Readonly<Record<string, string>> = {
  group_norm: 'norm',
  to_q: 'q',
  to_k: 'k',
  to_v: 'v',
  'to_out.0': 'proj_out',
};

function vaePairs(levels: number, decoderLayers: number): readonly NamePair[] {
  return [
    ...pairs({ quant_conv: 'quant_conv', post_quant_conv: 'post_quant_conv' }),
    ...['encoder', 'decoder'].flatMap(aroundPairs),
    ...Array.from({ length: levels }, (_, level) => [
      ...pairs({ [`encoder.down_blocks.${level}.downsamplers.0`]: `encoder.down.${level}.downsample` }),
      // The original layout numbers the decoder's levels from the image, the graph from the latents.
      ...pairs({ [`decoder.up_blocks.${levels - 1 - level}.upsamplers.0`]: `decoder.up.${level}.upsample` }),
      ...Array.from({ length: decoderLayers }, (__, layer) => [
        ...resnetPairs(`encoder.down_blocks.${level}.resnets.${layer}`, `encoder.down.${level}.block.${layer}`),
        ...resnetPairs(
          `decoder.up_blocks.${levels - 1 - level}.resnets.${layer}`,
          `decoder.up.${level}.block.${layer}`,
        ),
      ]).flat(),
    ]).flat(),
  ];
}

function aroundPairs(half: string): readonly NamePair[] {
  return [
    ...pairs({
      [`${half}.conv_in`]: `${half}.conv_in`,
      [`${half}.conv_norm_out`]: `${half}.norm_out`,
      [`${half}.conv_out`]: `${half}.conv_out`,
    }),
    ...resnetPairs(`${half}.mid_block.resnets.0`, `${half}.mid.block_1`),
    ...resnetPairs(`${half}.mid_block.resnets.1`, `${half}.mid.block_2`),
    ...Object.entries(ATTENTION).map(([name, old]) => ({
      graph: `${half}.mid_block.attentions.0.${name}`,
      stored: `${half}.mid.attn_1.${old}`,
    })),
  ];
}

function resnetPairs(graph: string, stored: string): readonly NamePair[] {
  return [
    { graph, stored },
    ...Object.entries(RESNET).map(([name, old]) => ({ graph: `${graph}.${name}`, stored: `${stored}.${old}` })),
  ];
}
