/** The components of a Stable Diffusion 1.x or 2.x checkpoint. The one list of its components' names. */
import type { ComponentSpec } from '../../checkpoint/component-spec.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { CLIP_TOKENIZER } from '../../checkpoint/tokenizer-files.ts';
import { AUTOENCODER_KL } from '../../networks/autoencoder-kl.ts';
import { AUTOENCODER_TINY } from '../../networks/autoencoder-tiny.ts';
import { CLIP_TEXT_MODEL } from '../../networks/clip-text-model.ts';
import { UNET_2D_CONDITION_MODEL } from '../../networks/unet-2d-condition-model.ts';
import { readSchedulerConfig } from '../../schedulers/scheduler-config.ts';

/** Of its autoencoder: latents are multiplied by it. */
export const STABLE_DIFFUSION_LATENT_SCALE = 0.18215;

export const STABLE_DIFFUSION_COMPONENTS = [
  { kind: 'network', name: 'text_encoder', classes: [CLIP_TEXT_MODEL] },
  { kind: 'tokenizer', name: 'tokenizer', classes: [CLIP_TOKENIZER], encoder: 'text_encoder' },
  { kind: 'network', name: 'unet', classes: [UNET_2D_CONDITION_MODEL] },
  {
    kind: 'network',
    name: 'vae',
    classes: [AUTOENCODER_KL, AUTOENCODER_TINY],
    untold: { scaling_factor: STABLE_DIFFUSION_LATENT_SCALE, sample_size: 512 },
  },
  { kind: 'scheduler', name: 'scheduler', readConfig: readSchedulerConfig },
  {
    kind: 'ignored',
    name: 'safety_checker',
    warning: 'The checkpoint has a safety checker; it is not run by this version.',
  },
] as const satisfies readonly ComponentSpec[];

export type StableDiffusionCheckpoint = Checkpoint<typeof STABLE_DIFFUSION_COMPONENTS>;
