/** The family of Stable Diffusion 1.x. */
import type { Family } from '../family.ts';
import { STABLE_DIFFUSION_COMPONENTS, type StableDiffusionCheckpoint } from './components.ts';
import { STABLE_DIFFUSION_FIELDS } from './fields.ts';
import { loadStableDiffusion } from './load.ts';
import { proveStableDiffusion } from './proofs.ts';
import { vaeScaleFactor } from '../parts/vae-sizes.ts';
import { defaultSampleSize } from './config-changes.ts';
import { SD_TURBO_FILE, STABLE_DIFFUSION_1_FILE, STABLE_DIFFUSION_2_FILE } from './single-files.ts';

export const STABLE_DIFFUSION = {
  name: 'stable-diffusion',
  classes: ['StableDiffusionPipeline'],
  components: STABLE_DIFFUSION_COMPONENTS,
  singleFiles: [STABLE_DIFFUSION_1_FILE, STABLE_DIFFUSION_2_FILE, SD_TURBO_FILE],
  fields: STABLE_DIFFUSION_FIELDS,
  hashedNetwork: 'unet',
  prove: proveStableDiffusion,
  describe: ({ networks: { unet } }: StableDiffusionCheckpoint) => ({ sampleSize: unet.config.sample_size }),
  facts: (checkpoint: StableDiffusionCheckpoint) => {
    const size = defaultSampleSize(checkpoint.networks.unet.config);
    const scaleFactor = vaeScaleFactor(checkpoint.networks.vae.config);
    return {
      defaultWidthPx: size.width * scaleFactor,
      defaultHeightPx: size.height * scaleFactor,
      defaults: {
        negativePrompt: '',
        scheduler: checkpoint.scheduler.className,
      },
    };
  },
  load: loadStableDiffusion,
} as const satisfies Family;
