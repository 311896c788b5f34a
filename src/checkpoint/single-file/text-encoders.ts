/**
 * Text encoders in single files: CLIP as transformers names it (Stable Diffusion 1.x, the first of SDXL), and open_clip's (2.x, the second of SDXL).
 * The configuration is read off the tensors.
 * Source of the names: diffusers loaders/single_file_utils.py, DIFFUSERS_TO_LDM_MAPPING["openclip"] and convert_open_clip_checkpoint.
 */
import type { FileTensors } from './file-tensors.ts';
import { type NamePair, NameTable, pairs } from './name-table.ts';
import type { SingleFileNetwork } from './single-file-layout.ts';

/** Every published CLIP has heads of 64 channels. */
const HEAD_CHANNELS = 64;

/** @param prefix `cond_stage_model.transformer.`; merges may lack the `text_model.` behind it */
export function readClipTextModel(tensors: FileTensors, prefix: string): SingleFileNetwork {
  const inner = tensors.hasModule(`${prefix}text_model`) ? `${prefix}text_model.` : prefix;
  const [positions] = tensors.requiredShape(`${inner}embeddings.position_embedding.weight`);
  const [vocabulary, width = 0] = tensors.requiredShape(`${inner}embeddings.token_embedding.weight`);
  return {
    className: 'CLIPTextModel',
    json: {
      vocab_size: vocabulary,
      hidden_size: width,
      intermediate_size: tensors.requiredShape(`${inner}encoder.layers.0.mlp.fc1.weight`)[0],
      num_hidden_layers: tensors.count(`${inner}encoder.layers`),
      num_attention_heads: headsOf(width),
      max_position_embeddings: positions,
      hidden_act: 'quick_gelu',
    },
    names: new NameTable(
      inner,
      pairs({ embeddings: 'embeddings', encoder: 'encoder', final_layer_norm: 'final_layer_norm' }),
    ),
  };
}

export interface OpenClipOptions {
  /** `CLIPTextModelWithProjection` where the pooled prompt is needed. */
  readonly className: 'CLIPTextModel' | 'CLIPTextModelWithProjection';
  /** The last layer is not used: Stable Diffusion 2.x was trained with the 23rd of 24. */
  readonly leavesOutLast: boolean;
}

/** transformers reads 2 as: the pooled prompt is where the largest id stands. Every published SDXL says so. */
const LARGEST_TOKEN = 2;

/** @param prefix `cond_stage_model.model.` */
export function readOpenClip(
  tensors: FileTensors,
  prefix: string,
  { className, leavesOutLast }: OpenClipOptions,
): SingleFileNetwork {
  const stored = tensors.count(`${prefix}transformer.resblocks`);
  // Some files leave out what nobody uses.
  const layers = leavesOutLast && stored !== 23 ? stored - 1 : stored;
  const [vocabulary, width = 0] = tensors.requiredShape(`${prefix}token_embedding.weight`);
  return {
    className,
    json: {
      vocab_size: vocabulary,
      hidden_size: width,
      intermediate_size: tensors.requiredShape(`${prefix}transformer.resblocks.0.mlp.c_fc.weight`)[0],
      num_hidden_layers: layers,
      num_attention_heads: headsOf(width),
      max_position_embeddings: tensors.requiredShape(`${prefix}positional_embedding`)[0],
      hidden_act: 'gelu',
      ...(className === 'CLIPTextModelWithProjection'
        ? { projection_dim: tensors.requiredShape(`${prefix}text_projection`)[1], eos_token_id: LARGEST_TOKEN }
        : {}),
    },
    names: new NameTable(prefix, openClipPairs(layers)),
  };
}

function headsOf(width: number): number {
  return Math.max(1, Math.floor(width / HEAD_CHANNELS));
}

const LAYER: Readonly<Record<string, string>> = {
  layer_norm1: 'ln_1',
  layer_norm2: 'ln_2',
  'mlp.fc1': 'mlp.c_fc',
  'mlp.fc2': 'mlp.c_proj',
  'self_attn.out_proj': 'attn.out_proj',
};
/** The rows of one matrix, in this order. */
const FUSED = ['q_proj', 'k_proj', 'v_proj'];

function openClipPairs(layers: number): readonly NamePair[] {
  return [
    ...pairs({
      'embeddings.token_embedding': 'token_embedding',
      'embeddings.position_embedding.weight': 'positional_embedding',
      final_layer_norm: 'ln_final',
    }),
    { graph: 'text_projection.weight', stored: 'text_projection', transposed: true },
    ...Array.from({ length: layers }, (_, layer) =>
      layerPairs(`encoder.layers.${layer}`, `transformer.resblocks.${layer}`),
    ).flat(),
  ];
}

function layerPairs(graph: string, stored: string): readonly NamePair[] {
  return [
    ...Object.entries(LAYER).map(([name, old]) => ({ graph: `${graph}.${name}`, stored: `${stored}.${old}` })),
    ...FUSED.flatMap((name, part) =>
      ['weight', 'bias'].map((kind) => ({
        graph: `${graph}.self_attn.${name}.${kind}`,
        stored: `${stored}.attn.in_proj_${kind}`,
        rows: { part, of: FUSED.length },
      })),
    ),
  ];
}
