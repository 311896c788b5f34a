/** Proofs about the UNet of a latent diffusion model that families share: its channels beside the autoencoder's, and its additional inputs. */
import type { CheckpointNetwork } from '../../checkpoint/checkpoint.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { UNet2DConditionConfig } from '../../networks/unet-2d-condition-config.ts';

interface LatentNetworks {
  readonly unet: Pick<CheckpointNetwork<UNet2DConditionConfig>, 'config' | 'configPath'>;
  /** Of any class. */
  readonly vae: {
    readonly config: { readonly latent_channels: number; readonly out_channels: number };
    readonly configPath: string;
  };
}

const COLOUR_CHANNELS = 3;

/** Channels of `conv_in` → the task of such a checkpoint, where the latents have 4. Source: the pipelines of diffusers that load them. */
const OTHER_TASKS: Readonly<Record<number, string>> = {
  5: 'depth-to-image',
  7: 'upscaling',
  8: 'editing an image (InstructPix2Pix)',
  9: 'inpainting',
};

/**
 * Latents go from step to step and into the autoencoder, which turns them into red, green and blue.
 * @throws `unsupported_config`
 */
export function proveChannels({ unet, vae }: LatentNetworks): void {
  const { in_channels: taken, out_channels: given } = unet.config;
  const { latent_channels: decoded, out_channels: colours } = vae.config;
  if (taken !== decoded) {
    const task = decoded === 4 ? OTHER_TASKS[taken] : undefined;
    throw new Text2ImgError(
      'unsupported_config',
      `${unet.configPath}: "in_channels" is ${taken}, but the autoencoder’s "latent_channels" is ${decoded}; they must be equal` +
        `${task === undefined ? '' : `. UNets with ${taken} channels are for ${task}, which this version cannot do`}.`,
    );
  }
  if (given !== taken)
    throw new Text2ImgError(
      'unsupported_config',
      `${unet.configPath}: "out_channels" is ${given}, but "in_channels" is ${taken}; they must be equal.`,
    );
  if (colours !== COLOUR_CHANNELS)
    throw new Text2ImgError(
      'unsupported_config',
      `${vae.configPath}: "out_channels" is ${colours}; allowed is ${COLOUR_CHANNELS} (red, green, blue).`,
    );
}

/** Keys that give the UNet's graph more inputs. */
const INPUT_KEYS = ['addition_embed_type', 'time_cond_proj_dim'] as const;

/**
 * Refuses a UNet with inputs that the family does not feed.
 * @param fed the keys whose inputs it feeds @throws `unsupported_config`
 */
export function proveInputs(
  { config, configPath }: LatentNetworks['unet'],
  fed: readonly (typeof INPUT_KEYS)[number][],
): void {
  for (const key of INPUT_KEYS) {
    const value = config[key] ?? null;
    if (value === null || fed.includes(key)) continue;
    throw new Text2ImgError(
      'unsupported_config',
      `${configPath}: "${key}" is ${JSON.stringify(value)}, which models of this family do not have; allowed is null.`,
    );
  }
}
