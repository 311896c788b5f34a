/** The family of Stable Diffusion XL and the models that are made from it. */
import { own } from '../../lib/foreign-record.ts';
import { pooledFeatures } from '../../networks/unet-2d-condition-config.ts';
import type { Family, ImageSize } from '../family.ts';
import { defaultSizePx, latentSizes, sampleSizeOf } from '../parts/sample-size.ts';
import { STABLE_DIFFUSION_XL_COMPONENTS, type StableDiffusionXlCheckpoint } from './components.ts';
import { SIZE_FIELDS, STABLE_DIFFUSION_XL_FIELDS } from './fields.ts';
import { loadStableDiffusionXl } from './load.ts';
import { proveStableDiffusionXl } from './proofs.ts';
import { forcesZeros } from './settings.ts';
import { PLAYGROUND_FILE, STABLE_DIFFUSION_XL_FILE } from './single-files.ts';
import { largestBranch } from '../../networks/unet-2d-branches.ts';

/** Of a UNet that states none, in latents. */
const SAMPLE_SIZE = 128;
const GUIDANCE_SCALE = 5;

export const STABLE_DIFFUSION_XL = {
  name: 'stable-diffusion-xl',
  // As diffusers' AutoPipelineForText2Image: the same components generate from text.
  classes: ['StableDiffusionXLPipeline', 'StableDiffusionXLImg2ImgPipeline', 'StableDiffusionXLInpaintPipeline'],
  components: STABLE_DIFFUSION_XL_COMPONENTS,
  singleFiles: [STABLE_DIFFUSION_XL_FILE, PLAYGROUND_FILE],
  fields: STABLE_DIFFUSION_XL_FIELDS,
  hashedNetwork: 'unet',
  refuses: ({ components }) =>
    own(components, 'text_encoder') === undefined && own(components, 'text_encoder_2') !== undefined
      ? 'this is the refiner of Stable Diffusion XL, which improves finished images; --model needs the base model'
      : undefined,
  prove: proveStableDiffusionXl,
  describe: ({ networks: { unet } }: StableDiffusionXlCheckpoint) => ({ sampleSize: unet.config.sample_size }),
  sizes: ({ networks: { vae } }: StableDiffusionXlCheckpoint, size: ImageSize) => latentSizes(vae.config, size),
  facts: ({ networks: { unet, vae }, scheduler, index }: StableDiffusionXlCheckpoint) => ({
    ...defaultSizePx(sampleSizeOf(unet.config, SAMPLE_SIZE), vae.config),
    largestDeepCacheBranch: largestBranch(unet.config),
    unreadFields: pooledFeatures(unet.config) === undefined ? SIZE_FIELDS : [],
    defaults: {
      guidanceScale: GUIDANCE_SCALE,
      scheduler: scheduler.className,
      ...(forcesZeros(index) ? {} : { negativePrompt: '' }),
    },
  }),
  load: loadStableDiffusionXl,
} as const satisfies Family;
