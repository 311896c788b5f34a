/** The family of latent consistency models: Stable Diffusion that was distilled to a few steps, and reads the guidance as an input of its UNet. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { FieldName } from '../../job/request-fields.ts';
import type { Family, ImageSize, LoadTools } from '../family.ts';
import { checkpointScheduler } from '../parts/checkpoint-scheduler.ts';
import { LATENT_DIFFUSION_FIELDS } from '../parts/latent-fields.ts';
import { defaultSizePx, latentSizes, sampleSizeOf } from '../parts/sample-size.ts';
import { STABLE_DIFFUSION_COMPONENTS, type StableDiffusionCheckpoint } from '../stable-diffusion/components.ts';
import { loadWithScheduler } from '../stable-diffusion/load.ts';
import { proveStableDiffusion } from '../stable-diffusion/proofs.ts';
import { largestBranch } from '../../networks/unet-2d-branches.ts';

/** Of a UNet that states none, in latents. */
const SAMPLE_SIZE = 64;
/** Source: diffusers pipelines/latent_consistency_models/pipeline_latent_consistency_text2img.py, LatentConsistencyModelPipeline.__call__. */
const DEFAULTS = { guidanceScale: 8.5, numInferenceSteps: 4 };

/** There is no unconditional half, so nothing that belongs to it. diffusers' pipeline takes no `eta` and no `sigmas`. */
const UNREAD: readonly FieldName[] = ['negativePrompt', 'guidanceRescale', 'guidanceStop', 'eta', 'sigmas'];

export const LATENT_CONSISTENCY = {
  name: 'latent-consistency',
  classes: ['LatentConsistencyModelPipeline', 'LatentConsistencyModelImg2ImgPipeline'],
  components: STABLE_DIFFUSION_COMPONENTS,
  fields: LATENT_DIFFUSION_FIELDS.filter((name) => !UNREAD.includes(name)),
  hashedNetwork: 'unet',
  prove: (checkpoint: StableDiffusionCheckpoint) => {
    proveStableDiffusion(checkpoint);
    proveGuidanceInput(checkpoint);
  },
  describe: ({ networks: { unet } }: StableDiffusionCheckpoint) => ({ sampleSize: unet.config.sample_size }),
  sizes: ({ networks: { vae } }: StableDiffusionCheckpoint, size: ImageSize) => latentSizes(vae.config, size),
  facts: ({ networks: { unet, vae }, scheduler }: StableDiffusionCheckpoint) => ({
    ...defaultSizePx(sampleSizeOf(unet.config, SAMPLE_SIZE), vae.config),
    largestDeepCacheBranch: largestBranch(unet.config),
    defaults: { ...DEFAULTS, scheduler: scheduler.className },
  }),
  // Unlike StableDiffusionPipeline, this one changes nothing in the scheduler's configuration.
  load: (checkpoint: StableDiffusionCheckpoint, tools: LoadTools) =>
    loadWithScheduler(checkpoint, tools, checkpointScheduler(checkpoint.scheduler)),
} as const satisfies Family;

/** @throws `unsupported_config` */
function proveGuidanceInput({ index, networks: { unet } }: StableDiffusionCheckpoint): void {
  if ((unet.config.time_cond_proj_dim ?? null) !== null) return;
  throw new Text2ImgError(
    'unsupported_config',
    `${unet.configPath}: "time_cond_proj_dim" is null, but the UNet of ${index.pipelineClass} reads the guidance; ` +
      'a model without this input is one for StableDiffusionPipeline.',
  );
}
