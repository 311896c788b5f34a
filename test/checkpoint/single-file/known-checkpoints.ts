/** The structure of checkpoints that people name, at full size. Sources: diffusers' scripts, and ComfyUI's supported_models.py for the distilled ones. */
import type { TextPlan, UNetPlan } from './full-size.ts';

const CLIP_L: TextPlan = {
  prefix: 'cond_stage_model.transformer.text_model.',
  width: 768,
  layers: 12,
  isOpenClip: false,
};
const OPEN_CLIP_H: TextPlan = { prefix: 'cond_stage_model.model.', width: 1024, layers: 24, isOpenClip: true };
const XL_TEXTS: readonly TextPlan[] = [
  { ...CLIP_L, prefix: 'conditioner.embedders.0.transformer.text_model.' },
  { prefix: 'conditioner.embedders.1.model.', width: 1280, layers: 32, isOpenClip: true },
];
const SD = { channels: [320, 640, 1280, 1280], context: 768, isLinear: false };
const XL = { channels: [320, 640, 1280], context: 2048, isLinear: true, added: 2816 };

export interface Known {
  readonly unet: UNetPlan;
  readonly texts: readonly TextPlan[];
  /** Parameters of the UNet in millions, as the model's page says. */
  readonly millions: number;
  readonly config: Readonly<Record<string, unknown>>;
}

export const KNOWN_CHECKPOINTS = {
  'Stable Diffusion 1.5': {
    unet: {
      ...SD,
      down: [
        [1, 1],
        [1, 1],
        [1, 1],
        [0, 0],
      ],
      up: [
        [0, 0, 0],
        [1, 1, 1],
        [1, 1, 1],
        [1, 1, 1],
      ],
      middle: 1,
    },
    texts: [CLIP_L],
    millions: 860,
    config: {
      cross_attention_dim: 768,
      attention_head_dim: 8,
      layers_per_block: 2,
      mid_block_type: 'UNetMidBlock2DCrossAttn',
    },
  },
  'BK-SDM-Base and small-sd': {
    unet: {
      ...SD,
      down: [[1], [1], [1], [0]],
      up: [
        [0, 0],
        [1, 1],
        [1, 1],
        [1, 1],
      ],
      middle: 1,
    },
    texts: [CLIP_L],
    millions: 580,
    config: { layers_per_block: 1 },
  },
  'BK-SDM-Small': {
    unet: {
      ...SD,
      down: [[1], [1], [1], [0]],
      up: [
        [0, 0],
        [1, 1],
        [1, 1],
        [1, 1],
      ],
      middle: undefined,
    },
    texts: [CLIP_L],
    millions: 483,
    config: { layers_per_block: 1, mid_block_type: null },
  },
  'BK-SDM-Tiny': {
    unet: {
      ...SD,
      channels: [320, 640, 1280],
      down: [[1], [1], [1]],
      up: [
        [1, 1],
        [1, 1],
        [1, 1],
      ],
      middle: undefined,
    },
    texts: [CLIP_L],
    millions: 324,
    config: { block_out_channels: [320, 640, 1280], mid_block_type: null },
  },
  'Stable Diffusion 2.1': {
    unet: {
      ...SD,
      context: 1024,
      isLinear: true,
      down: [
        [1, 1],
        [1, 1],
        [1, 1],
        [0, 0],
      ],
      up: [
        [0, 0, 0],
        [1, 1, 1],
        [1, 1, 1],
        [1, 1, 1],
      ],
      middle: 1,
    },
    texts: [OPEN_CLIP_H],
    millions: 866,
    config: { attention_head_dim: [5, 10, 20, 20], use_linear_projection: true, sample_size: 96 },
  },
  'Stable Diffusion 2.1 without the layer that nobody uses': {
    unet: {
      ...SD,
      context: 1024,
      isLinear: true,
      down: [
        [1, 1],
        [1, 1],
        [1, 1],
        [0, 0],
      ],
      up: [
        [0, 0, 0],
        [1, 1, 1],
        [1, 1, 1],
        [1, 1, 1],
      ],
      middle: 1,
    },
    texts: [{ ...OPEN_CLIP_H, layers: 23 }],
    millions: 866,
    config: { attention_head_dim: [5, 10, 20, 20] },
  },
  'Stable Diffusion XL': {
    unet: {
      ...XL,
      down: [
        [0, 0],
        [2, 2],
        [10, 10],
      ],
      up: [
        [10, 10, 10],
        [2, 2, 2],
        [0, 0, 0],
      ],
      middle: 10,
    },
    texts: XL_TEXTS,
    millions: 2567,
    config: {
      transformer_layers_per_block: [1, 2, 10],
      attention_head_dim: [5, 10, 20],
      projection_class_embeddings_input_dim: 2816,
      down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
    },
  },
  'SSD-1B': {
    unet: {
      ...XL,
      down: [
        [0, 0],
        [2, 2],
        [4, 4],
      ],
      up: [
        [4, 4, 10],
        [2, 1, 1],
        [0, 0, 0],
      ],
      middle: 'resnet',
    },
    texts: XL_TEXTS,
    millions: 1331,
    config: { mid_block_type: 'UNetMidBlock2D', reverse_transformer_layers_per_block: [[4, 4, 10], [2, 1, 1], 1] },
  },
  'Segmind Vega': {
    unet: {
      ...XL,
      down: [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
      up: [
        [2, 2, 2],
        [1, 1, 1],
        [0, 0, 0],
      ],
      middle: 'resnet',
    },
    texts: XL_TEXTS,
    millions: 745,
    config: { mid_block_type: 'UNetMidBlock2D', transformer_layers_per_block: [1, 1, 2] },
  },
  'KOALA-700M': {
    unet: {
      ...XL,
      down: [[0], [2], [5]],
      up: [
        [5, 5],
        [2, 2],
        [0, 0],
      ],
      middle: undefined,
    },
    texts: XL_TEXTS,
    millions: 782,
    config: { mid_block_type: null, layers_per_block: 1 },
  },
  'KOALA-1B': {
    unet: {
      ...XL,
      down: [[0], [2], [6]],
      up: [
        [6, 6],
        [2, 2],
        [0, 0],
      ],
      middle: 6,
    },
    texts: XL_TEXTS,
    millions: 1161,
    config: { mid_block_type: 'UNetMidBlock2DCrossAttn', transformer_layers_per_block: [1, 2, 6] },
  },
} as const satisfies Readonly<Record<string, Known>>;
