/** The family of Stable Diffusion 1.x. */
import type { Family } from '../family.ts';
import { STABLE_DIFFUSION_COMPONENTS, type StableDiffusionCheckpoint } from './components.ts';
import { proveStableDiffusion } from './proofs.ts';

export const STABLE_DIFFUSION = {
  name: 'stable-diffusion',
  classes: ['StableDiffusionPipeline'],
  components: STABLE_DIFFUSION_COMPONENTS,
  prove: proveStableDiffusion,
  describe: ({ networks: { unet } }: StableDiffusionCheckpoint) => ({ sampleSize: unet.config.sample_size }),
} as const satisfies Family;
