/**
 * Single files of Stable Diffusion 1.x and 2.x: how they are recognised, and what no tensor says.
 * Source of the values: the configurations of stable-diffusion-v1-5, stable-diffusion-2-1, stable-diffusion-2-1-base and sd-turbo on the hub.
 */
import type { FileTensors } from '../../checkpoint/single-file/file-tensors.ts';
import { packagedClipTokenizer } from '../../checkpoint/single-file/clip-vocabulary.ts';
import { LDM_UNET_PREFIX, readLdmUNet } from '../../checkpoint/single-file/ldm-unet.ts';
import { hasLdmVae, readLdmVae } from '../../checkpoint/single-file/ldm-vae.ts';
import { type TrainedAs, trainedAs } from '../../checkpoint/single-file/prediction.ts';
import type {
  SingleFileLayout,
  SingleFileModel,
  SingleFileNetwork,
} from '../../checkpoint/single-file/single-file-layout.ts';
import { readClipTextModel, readOpenClip } from '../../checkpoint/single-file/text-encoders.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';

const PIPELINE_CLASS = 'StableDiffusionPipeline';
const TRAINING = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  num_train_timesteps: 1000,
  trained_betas: null,
  steps_offset: 1,
  clip_sample: false,
  set_alpha_to_one: false,
};

const isUNet = (tensors: FileTensors): boolean => tensors.has(`${LDM_UNET_PREFIX}input_blocks.0.0.weight`);

/** @param imageSizePx of the images that the model was trained with */
function readVae(tensors: FileTensors, imageSizePx: number): SingleFileNetwork | undefined {
  return hasLdmVae(tensors) ? readLdmVae(tensors, { scaling_factor: 0.18215, sample_size: imageSizePx }) : undefined;
}

/** PNDM as on the hub; diffusers' class has no zero terminal SNR, and would ignore it. */
function scheduler1Of(trained: TrainedAs): Pick<SingleFileModel, 'scheduler' | 'warnings'> {
  if (trained.rescale_betas_zero_snr === undefined)
    return {
      scheduler: { className: 'PNDMScheduler', json: { ...TRAINING, skip_prk_steps: true, ...trained } },
      warnings: [],
    };
  return {
    scheduler: { className: 'DDIMScheduler', json: { ...TRAINING, ...trained } },
    warnings: [
      'The file says that it was trained with zero terminal SNR ("ztsnr"), which PNDMScheduler cannot do; DDIMScheduler is its scheduler instead.',
    ],
  };
}

export const STABLE_DIFFUSION_1_FILE: SingleFileLayout = {
  name: 'Stable Diffusion 1.x',
  pipelineClass: PIPELINE_CLASS,
  recognise: (tensors) => isUNet(tensors) && tensors.hasModule('cond_stage_model.transformer'),
  read: (tensors, choices) => {
    const trained = trainedAs(tensors, choices, 'epsilon');
    return {
      networks: {
        text_encoder: readClipTextModel(tensors, 'cond_stage_model.transformer.'),
        unet: readLdmUNet(tensors, { heads: { perBlock: 8 }, more: { sample_size: 64 } }),
        ...omitUndefined({ vae: readVae(tensors, 512) }),
      },
      tokenizers: {
        tokenizer: {
          className: 'CLIPTokenizer',
          read: (maxTokens) => packagedClipTokenizer('<|endoftext|>', maxTokens),
        },
      },
      ...scheduler1Of(trained),
    };
  },
  readVae: (tensors) => readVae(tensors, 512),
};

/** The newer layout, which SD-Turbo's own file has. */
const TURBO_ENCODER = 'conditioner.embedders.0.model';
const OLDER_ENCODER = 'cond_stage_model.model';

/** 2-base was saved at this step. No other fact in a file tells it from 2-1. */
const BASE_STEP = 875_000;

export const STABLE_DIFFUSION_2_FILE: SingleFileLayout = {
  name: 'Stable Diffusion 2.x',
  pipelineClass: PIPELINE_CLASS,
  recognise: (tensors) => isUNet(tensors) && tensors.hasModule(OLDER_ENCODER),
  read: (tensors, choices) => {
    const step = tensors.fact('global_step')?.[0];
    const trained = trainedAs(tensors, choices, step === BASE_STEP ? 'epsilon' : 'v_prediction');
    const isGuessed = choices.predictionType === undefined && step === undefined && !tensors.has('v_pred');
    return {
      ...openClipModel(tensors, OLDER_ENCODER, trained.prediction_type === 'epsilon' ? 512 : 768),
      scheduler: { className: 'DDIMScheduler', json: { ...TRAINING, ...trained } },
      warnings: isGuessed
        ? [
            'The file does not say what its UNet predicts; v_prediction is taken, as in Stable Diffusion 2.1. ' +
              'For one like 2-base set --prediction-type epsilon.',
          ]
        : [],
    };
  },
  readVae: (tensors) => readVae(tensors, 768),
};

/** Width of the prompt that tells it from the SDXL refiner, which has the same encoder's name. */
const TURBO_WIDTH = 1024;

export const SD_TURBO_FILE: SingleFileLayout = {
  name: 'SD-Turbo',
  pipelineClass: PIPELINE_CLASS,
  recognise: (tensors) =>
    isUNet(tensors) &&
    tensors.hasModule(TURBO_ENCODER) &&
    !tensors.hasModule('conditioner.embedders.1.model') &&
    tensors.shape(`${TURBO_ENCODER}.token_embedding.weight`)?.[1] === TURBO_WIDTH,
  read: (tensors, choices) => ({
    ...openClipModel(tensors, TURBO_ENCODER, 512),
    scheduler: {
      className: 'EulerDiscreteScheduler',
      json: { ...TRAINING, timestep_spacing: 'trailing', ...trainedAs(tensors, choices, 'epsilon') },
    },
    warnings: [],
  }),
  readVae: (tensors) => readVae(tensors, 512),
};

function openClipModel(
  tensors: FileTensors,
  encoder: string,
  imageSizePx: number,
): Pick<SingleFileModel, 'networks' | 'tokenizers'> {
  return {
    networks: {
      text_encoder: readOpenClip(tensors, `${encoder}.`, { className: 'CLIPTextModel', leavesOutLast: true }),
      unet: readLdmUNet(tensors, { heads: { channels: 64 }, more: { sample_size: imageSizePx / 8 } }),
      ...omitUndefined({ vae: readVae(tensors, imageSizePx) }),
    },
    tokenizers: {
      tokenizer: { className: 'CLIPTokenizer', read: (maxTokens) => packagedClipTokenizer('!', maxTokens) },
    },
  };
}
