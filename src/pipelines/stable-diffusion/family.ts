/** The family of Stable Diffusion 1.x and 2.x. */
import type { Family, ImageSize } from '../family.ts';
import { STABLE_DIFFUSION_COMPONENTS, type StableDiffusionCheckpoint } from './components.ts';
import { loadStableDiffusion } from './load.ts';
import { proveStableDiffusion } from './proofs.ts';
import { LATENT_DIFFUSION_FIELDS } from '../parts/latent-fields.ts';
import { defaultSizePx, latentSizes } from '../parts/sample-size.ts';
import { defaultSampleSize } from './config-changes.ts';
import { SD_TURBO_FILE, STABLE_DIFFUSION_1_FILE, STABLE_DIFFUSION_2_FILE } from './single-files.ts';
import { largestBranch } from '../../networks/unet-2d-branches.ts';

export const STABLE_DIFFUSION = {
  name: 'stable-diffusion',
  // As diffusers' AutoPipelineForText2Image: the same components generate from text.
  classes: ['StableDiffusionPipeline', 'StableDiffusionImg2ImgPipeline', 'StableDiffusionInpaintPipeline'],
  components: STABLE_DIFFUSION_COMPONENTS,
  singleFiles: [STABLE_DIFFUSION_1_FILE, STABLE_DIFFUSION_2_FILE, SD_TURBO_FILE],
  fields: LATENT_DIFFUSION_FIELDS,
  hashedNetwork: 'unet',
  prove: proveStableDiffusion,
  describe: ({ networks: { unet } }: StableDiffusionCheckpoint) => ({ sampleSize: unet.config.sample_size }),
  sizes: ({ networks: { vae } }: StableDiffusionCheckpoint, size: ImageSize) => latentSizes(vae.config, size),
  facts: ({ networks: { unet, vae }, scheduler }: StableDiffusionCheckpoint) => ({
    ...defaultSizePx(defaultSampleSize(unet.config), vae.config),
    largestDeepCacheBranch: largestBranch(unet.config),
    defaults: { negativePrompt: '', scheduler: scheduler.className },
  }),
  load: loadStableDiffusion,
} as const satisfies Family;
