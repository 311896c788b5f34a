/**
 * The configuration of AutoencoderTiny (TAESD, TAESDXL).
 * Source: diffusers models/autoencoders/autoencoder_tiny.py, AutoencoderTiny.__init__ (keys and defaults).
 */
import { z } from 'zod';
import { type ConfigRules, count, MAX_BLOCKS, numberFrom, wholeFrom } from '../lib/config-rules.ts';
import { ACTIVATIONS } from './activation.ts';

const perStage = z.array(count).min(1).max(MAX_BLOCKS);
const blocks = z.array(wholeFrom(0, 1000)).min(1).max(MAX_BLOCKS);

const keys = z.object({
  in_channels: count.default(3),
  out_channels: count.default(3),
  encoder_block_out_channels: perStage.default([64, 64, 64, 64]),
  decoder_block_out_channels: perStage.default([64, 64, 64, 64]),
  num_encoder_blocks: blocks.default([1, 3, 3, 3]),
  num_decoder_blocks: blocks.default([3, 3, 3, 1]),
  act_fn: z.enum(ACTIVATIONS).default('relu'),
  latent_channels: count.default(4),
  scaling_factor: numberFrom(1e-4, 1e4).default(1),
});

/** The pixels of a tile. Source: AutoencoderTiny.__init__, tile_sample_min_size. */
const TILE_PX = 512;

/** diffusers adds `block_out_channels` too: pipelines read from it how many pixels a latent is wide. */
const schema = keys.transform((config) => ({
  ...config,
  block_out_channels: config.decoder_block_out_channels,
  sample_size: TILE_PX,
  latents_mean: null,
  latents_std: null,
  force_upcast: false,
}));

export type AutoencoderTinyConfig = z.infer<typeof schema>;

const NEVER_READ = 'read only by the forward pass of training';

export const AUTOENCODER_TINY_RULES: ConfigRules<AutoencoderTinyConfig> = {
  implemented: schema,
  implementedKeys: Object.keys(keys.shape),
  withoutEffect: {
    block_out_channels: 'a copy of "decoder_block_out_channels"',
    latent_magnitude: NEVER_READ,
    latent_shift: NEVER_READ,
    force_upcast: 'diffusers always sets it to false',
    shift_factor: 'not read by the Stable Diffusion pipelines',
  },
  onlyDefault: {
    upsample_fn: ['nearest'],
    upsampling_scaling_factor: [2],
  },
  contradiction: (config) => stages(config, 'encoder') ?? stages(config, 'decoder'),
};

/** No layer between two stages changes the number of channels. */
function stages(config: AutoencoderTinyConfig, half: 'encoder' | 'decoder'): string | undefined {
  const channels = config[`${half}_block_out_channels`];
  const { length } = config[`num_${half}_blocks`];
  if (length !== channels.length)
    return `"num_${half}_blocks" has ${length} entries, but "${half}_block_out_channels" has ${channels.length}; they must be as many`;
  if (new Set(channels).size > 1)
    return `"${half}_block_out_channels" has the numbers ${[...new Set(channels)].join(', ')}; they must all be equal`;
  return undefined;
}
