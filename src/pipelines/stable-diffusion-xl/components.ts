/** The components of a Stable Diffusion XL checkpoint. The one list of its components' names. */
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { ComponentSpec } from '../../checkpoint/component-spec.ts';
import { CLIP_TOKENIZER } from '../../checkpoint/tokenizer-files.ts';
import { AUTOENCODER_KL } from '../../networks/autoencoder-kl.ts';
import { AUTOENCODER_TINY } from '../../networks/autoencoder-tiny.ts';
import { CLIP_TEXT_MODEL, CLIP_TEXT_MODEL_WITH_PROJECTION } from '../../networks/clip-text-model.ts';
import { UNET_2D_CONDITION_MODEL } from '../../networks/unet-2d-condition-model.ts';
import { readSchedulerConfig } from '../../schedulers/scheduler-config.ts';

/** Of its autoencoder: latents are multiplied by it. */
export const STABLE_DIFFUSION_XL_LATENT_SCALE = 0.13025;

export const STABLE_DIFFUSION_XL_COMPONENTS = [
  { kind: 'network', name: 'text_encoder', classes: [CLIP_TEXT_MODEL] },
  { kind: 'tokenizer', name: 'tokenizer', classes: [CLIP_TOKENIZER], encoder: 'text_encoder' },
  { kind: 'network', name: 'text_encoder_2', classes: [CLIP_TEXT_MODEL_WITH_PROJECTION] },
  { kind: 'tokenizer', name: 'tokenizer_2', classes: [CLIP_TOKENIZER], encoder: 'text_encoder_2' },
  { kind: 'network', name: 'unet', classes: [UNET_2D_CONDITION_MODEL] },
  {
    kind: 'network',
    name: 'vae',
    classes: [AUTOENCODER_KL, AUTOENCODER_TINY],
    untold: { scaling_factor: STABLE_DIFFUSION_XL_LATENT_SCALE, sample_size: 1024 },
  },
  { kind: 'scheduler', name: 'scheduler', readConfig: readSchedulerConfig },
] as const satisfies readonly ComponentSpec[];

export type StableDiffusionXlCheckpoint = Checkpoint<typeof STABLE_DIFFUSION_XL_COMPONENTS>;
