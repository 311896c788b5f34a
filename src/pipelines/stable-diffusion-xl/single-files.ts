/**
 * Single files of Stable Diffusion XL and of Playground 2.5, which is XL trained in the EDM formulation.
 * Source of the values: the configurations of stable-diffusion-xl-base-1.0 and playground-v2.5-1024px-aesthetic on the hub.
 */
import type { FileTensors } from '../../checkpoint/single-file/file-tensors.ts';
import { packagedClipTokenizer } from '../../checkpoint/single-file/clip-vocabulary.ts';
import { LDM_UNET_PREFIX, readLdmUNet } from '../../checkpoint/single-file/ldm-unet.ts';
import { hasLdmVae, readLdmVae } from '../../checkpoint/single-file/ldm-vae.ts';
import { trainedAs } from '../../checkpoint/single-file/prediction.ts';
import type {
  SingleFileLayout,
  SingleFileModel,
  SingleFileNetwork,
} from '../../checkpoint/single-file/single-file-layout.ts';
import { readClipTextModel, readOpenClip } from '../../checkpoint/single-file/text-encoders.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';

const PIPELINE_CLASS = 'StableDiffusionXLPipeline';
const FIRST_ENCODER = 'conditioner.embedders.0.transformer';
const SECOND_ENCODER = 'conditioner.embedders.1.model';
const EDM_MEAN = 'edm_mean';
const EDM_STD = 'edm_std';

function isXl(tensors: FileTensors): boolean {
  return tensors.has(`${LDM_UNET_PREFIX}input_blocks.0.0.weight`) && tensors.hasModule(SECOND_ENCODER);
}

/** @param more facts that no tensor says */
function readVae(tensors: FileTensors, more: Readonly<Record<string, unknown>>): SingleFileNetwork | undefined {
  return hasLdmVae(tensors) ? readLdmVae(tensors, { sample_size: 1024, force_upcast: true, ...more }) : undefined;
}

const readXlVae = (tensors: FileTensors): SingleFileNetwork | undefined =>
  readVae(tensors, { scaling_factor: 0.13025 });

const readPlaygroundVae = (tensors: FileTensors): SingleFileNetwork | undefined =>
  readVae(tensors, {
    scaling_factor: 0.5,
    latents_mean: tensors.fact(EDM_MEAN),
    latents_std: tensors.fact(EDM_STD),
  });

function readXl(
  tensors: FileTensors,
  vae: SingleFileNetwork | undefined,
): Pick<SingleFileModel, 'networks' | 'tokenizers' | 'index'> {
  return {
    networks: {
      ...(tensors.hasModule(FIRST_ENCODER) ? { text_encoder: readClipTextModel(tensors, `${FIRST_ENCODER}.`) } : {}),
      text_encoder_2: readOpenClip(tensors, `${SECOND_ENCODER}.`, {
        className: 'CLIPTextModelWithProjection',
        leavesOutLast: false,
      }),
      unet: readLdmUNet(tensors, { heads: { channels: 64 }, more: { sample_size: 128 } }),
      ...omitUndefined({ vae }),
    },
    tokenizers: {
      tokenizer: { className: 'CLIPTokenizer', read: (maxTokens) => packagedClipTokenizer('<|endoftext|>', maxTokens) },
      tokenizer_2: { className: 'CLIPTokenizer', read: (maxTokens) => packagedClipTokenizer('!', maxTokens) },
    },
    index: { force_zeros_for_empty_prompt: true },
  };
}

export const STABLE_DIFFUSION_XL_FILE: SingleFileLayout = {
  name: 'Stable Diffusion XL',
  pipelineClass: PIPELINE_CLASS,
  recognise: (tensors) => isXl(tensors) && !tensors.has(EDM_MEAN),
  read: (tensors, choices) => ({
    ...readXl(tensors, readXlVae(tensors)),
    scheduler: {
      className: 'EulerDiscreteScheduler',
      json: {
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: 'scaled_linear',
        num_train_timesteps: 1000,
        trained_betas: null,
        steps_offset: 1,
        timestep_spacing: 'leading',
        ...trainedAs(tensors, choices, 'epsilon'),
      },
    },
    warnings: [],
  }),
  readVae: readXlVae,
};

export const PLAYGROUND_FILE: SingleFileLayout = {
  name: 'Playground 2.5',
  pipelineClass: PIPELINE_CLASS,
  recognise: (tensors) => isXl(tensors) && tensors.has(EDM_MEAN),
  read: (tensors, choices) => ({
    ...readXl(tensors, readPlaygroundVae(tensors)),
    scheduler: {
      className: 'EDMDPMSolverMultistepScheduler',
      json: {
        algorithm_type: 'dpmsolver++',
        dynamic_thresholding_ratio: 0.995,
        euler_at_final: false,
        final_sigmas_type: 'zero',
        lower_order_final: true,
        num_train_timesteps: 1000,
        rho: 7,
        sample_max_value: 1,
        sigma_data: 0.5,
        sigma_max: 80,
        sigma_min: 0.002,
        solver_order: 2,
        solver_type: 'midpoint',
        thresholding: false,
        ...trainedAs(tensors, choices, 'epsilon'),
      },
    },
    warnings: [],
  }),
  readVae: readPlaygroundVae,
};
