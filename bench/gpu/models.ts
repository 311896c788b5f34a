/** The models that are measured, by their configurations on the hub, and tiny ones with the same structure for trying the command. Their weights are random. */
import { SHAPES, type ShapeName } from '../unet-shapes.ts';

export type ModelName = ShapeName;

type Json = Readonly<Record<string, unknown>>;

export interface BenchModel {
  readonly about: string;
  /** Width and height of its pictures. */
  readonly sizePx: number;
  /** Height and width of the UNet's input. */
  readonly latents: number;
  readonly pipelineClass: string;
  /** Component → class and configuration. */
  readonly networks: Readonly<Record<string, { readonly library: 'diffusers' | 'transformers'; readonly json: Json }>>;
  readonly tokenizers: readonly string[];
}

const SD15_UNET = {
  attention_head_dim: 8,
  block_out_channels: [320, 640, 1280, 1280],
  cross_attention_dim: 768,
  sample_size: 64,
};

const XL_UNET = SHAPES.sdxl.json;

const VAE = {
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array.from({ length: 4 }, () => 'DownEncoderBlock2D'),
  up_block_types: Array.from({ length: 4 }, () => 'UpDecoderBlock2D'),
  layers_per_block: 2,
};

const CLIP_L = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  hidden_act: 'quick_gelu',
};

const CLIP_G = {
  hidden_size: 1280,
  intermediate_size: 5120,
  num_hidden_layers: 32,
  num_attention_heads: 20,
  projection_dim: 1280,
  hidden_act: 'gelu',
};

/** Heads of 8 or 16 numbers, and groups of 8 channels: the fused operators have rules about both. */
const TINY = {
  sd15: {
    unet: {
      attention_head_dim: 4,
      block_out_channels: [32, 64],
      cross_attention_dim: 32,
      sample_size: 8,
      down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
      up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
      layers_per_block: 1,
      norm_num_groups: 8,
    },
    clipL: { hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 2 },
  },
  sdxl: {
    unet: {
      addition_time_embed_dim: 8,
      attention_head_dim: [2, 4, 4],
      block_out_channels: [32, 64, 64],
      cross_attention_dim: 80,
      projection_class_embeddings_input_dim: 88,
      sample_size: 8,
      transformer_layers_per_block: [1, 1, 2],
      layers_per_block: 1,
      norm_num_groups: 8,
    },
    clipL: { hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 2 },
    clipG: { hidden_size: 48, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 3, projection_dim: 40 },
  },
  vae: { block_out_channels: [8, 8, 16, 16], layers_per_block: 1, norm_num_groups: 4 },
} as const;

const text = (json: Json): { readonly library: 'transformers'; readonly json: Json } => ({
  library: 'transformers',
  json,
});
const image = (json: Json): { readonly library: 'diffusers'; readonly json: Json } => ({ library: 'diffusers', json });

function sd15(isTiny: boolean): BenchModel {
  const sizePx = isTiny ? 64 : 512;
  return {
    about: `SD 1.5 at ${sizePx}×${sizePx}`,
    sizePx,
    latents: sizePx / 8,
    pipelineClass: 'StableDiffusionPipeline',
    networks: {
      text_encoder: text({ _class_name: 'CLIPTextModel', ...CLIP_L, ...(isTiny ? TINY.sd15.clipL : {}) }),
      unet: image({ _class_name: 'UNet2DConditionModel', ...SD15_UNET, ...(isTiny ? TINY.sd15.unet : {}) }),
      vae: image({ _class_name: 'AutoencoderKL', sample_size: sizePx, ...VAE, ...(isTiny ? TINY.vae : {}) }),
    },
    tokenizers: ['tokenizer'],
  };
}

function sdxl(isTiny: boolean): BenchModel {
  const sizePx = isTiny ? 64 : 1024;
  const vae = { sample_size: sizePx, force_upcast: true, scaling_factor: 0.13025 };
  return {
    about: `SDXL at ${sizePx}×${sizePx}`,
    sizePx,
    latents: sizePx / 8,
    pipelineClass: 'StableDiffusionXLPipeline',
    networks: {
      text_encoder: text({ _class_name: 'CLIPTextModel', ...CLIP_L, ...(isTiny ? TINY.sdxl.clipL : {}) }),
      text_encoder_2: text({
        _class_name: 'CLIPTextModelWithProjection',
        ...CLIP_G,
        ...(isTiny ? TINY.sdxl.clipG : {}),
      }),
      unet: image({ _class_name: 'UNet2DConditionModel', ...XL_UNET, ...(isTiny ? TINY.sdxl.unet : {}) }),
      vae: image({ _class_name: 'AutoencoderKL', ...vae, ...VAE, ...(isTiny ? TINY.vae : {}) }),
    },
    tokenizers: ['tokenizer', 'tokenizer_2'],
  };
}

export function benchModel(name: ModelName, isTiny: boolean): BenchModel {
  return name === 'sd15' ? sd15(isTiny) : sdxl(isTiny);
}
