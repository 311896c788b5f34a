/**
 * The text encoder: token ids in, the hidden state of one layer out. With a projection also one vector for the whole prompt.
 * Source: transformers models/clip/modeling_clip.py, CLIPTextModel, CLIPTextModelWithProjection.
 */
import { type BuiltGraph, type ComputeType, GraphBuilder, type Value } from '../onnx/graph.ts';
import {
  CLIP_TEXT_PROJECTION_RULES,
  CLIP_TEXT_RULES,
  type ClipTextConfig,
  type ClipTextProjectionConfig,
} from './clip-text-config.ts';
import { multiHeadAttention } from './layers/attention.ts';
import { type CausalMask, causalMask } from './layers/causal-mask.ts';
import { add, concat, gelu, layerNorm, linear, quickGelu } from './layers/primitives.ts';
import type { NetworkBuild, NetworkClass } from './network-class.ts';

/** A graph on its way, with the values that its outputs are made of. */
interface Encoded {
  readonly g: GraphBuilder;
  readonly config: ClipTextConfig;
  readonly tokens: number;
  /** [B, T] */
  readonly inputIds: Value;
  /** transformers' `hidden_states`: the embeddings, then each layer's result. [B, T, D] each */
  readonly states: readonly Value[];
}

/**
 * Input: `input_ids` [B, T], int32; output: `last_hidden_state` [B, T, D], float32, after the final LayerNorm. T is `sizes.tokens`, at most
 * `max_position_embeddings`.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildTextEncoder(options: NetworkBuild<ClipTextConfig>): BuiltGraph {
  const { g, states, tokens, config } = encode(options);
  const { hidden_size: features, layer_norm_eps: epsilon } = config;
  const last = layerNorm(g, states.at(-1) as Value, 'final_layer_norm', epsilon);
  g.output('last_hidden_state', last, ['batch', tokens, features]);
  return g.build('CLIPTextModel');
}

/**
 * The result of a layer that is chosen when the graph runs. Inputs, int32: `input_ids` [B, T], and `layer` [1], an index into transformers'
 * `hidden_states`: 0 is the embeddings, `num_hidden_layers` the last layer. Outputs [B, T, D], float32: `hidden_state`, and `last_hidden_state`, the
 * same after the final LayerNorm.
 *
 * A graph of its own, because ONNX Runtime fuses less where a later node reads every layer: the numbers differ in their last bits.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildAnyLayer(options: NetworkBuild<ClipTextConfig>): BuiltGraph {
  const encoded = encode(options);
  writeLayer(encoded);
  return encoded.g.build('CLIPTextModelAnyLayer');
}

/**
 * As `buildAnyLayer`, and the output `text_embeds` [B, P], float32: the end token's vector after the last layer and the final LayerNorm, projected.
 * It does not depend on `layer`.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildProjectedTextEncoder(options: NetworkBuild<ClipTextProjectionConfig>): BuiltGraph {
  const encoded = encode(options);
  writeLayer(encoded);
  const { g } = encoded;
  const { projection_dim: outFeatures, eos_token_id: endToken } = options.config;
  const pooled = pooledOutput(encoded, endToken);
  const projected = linear(g, pooled, 'text_projection', { outFeatures, bias: false });
  g.output('text_embeds', projected, ['batch', outFeatures]);
  return g.build('CLIPTextModelWithProjection');
}

function encode({
  config,
  weights,
  computeType,
  form,
  fusedDomain,
  sizes = {},
}: NetworkBuild<ClipTextConfig>): Encoded {
  const { tokens = config.max_position_embeddings } = sizes;
  const g = new GraphBuilder(weights, computeType, { form, fusedDomain });
  const features = config.hidden_size;
  const inputIds = g.input('input_ids', 'int32', ['batch', tokens], [1, tokens]);
  const table = g.weight('embeddings.token_embedding.weight', [config.vocab_size, features]);
  const tokenEmbeddings = g.node('Gather', [table, inputIds], {
    attributes: { axis: 0 },
    shape: [1, tokens, features],
  });
  let hidden = add(g, tokenEmbeddings, positionEmbeddings(g, config, tokens));
  const states = [hidden];
  const mask = causalMask(g, tokens);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    hidden = encoderLayer(g, hidden, `encoder.layers.${layer}`, { config, mask });
    states.push(hidden);
  }
  return { g, config, tokens, inputIds, states };
}

function writeLayer({ g, config, tokens, states }: Encoded): void {
  const { hidden_size: features, layer_norm_eps: epsilon } = config;
  const layer = g.input('layer', 'int32', [1], [1]);
  const shape = [1, tokens, features];
  const all = g.node('Reshape', [concat(g, states, 0), g.integers([states.length, -1, tokens, features])], {
    shape: [states.length, ...shape],
  });
  const chosen = g.node('Gather', [all, layer], { attributes: { axis: 0 }, shape: [1, ...shape] });
  const hidden = g.node('Reshape', [chosen, g.integers([-1, tokens, features])], { shape });
  const dimensions = ['batch', tokens, features];
  g.output('hidden_state', hidden, dimensions);
  g.output('last_hidden_state', layerNorm(g, hidden, 'final_layer_norm', epsilon), dimensions);
}

/** Old configurations say 2, which is not CLIP's end token. transformers then takes the largest id of the prompt, and so do all who trained with it. */
const WRONG_END_TOKEN = 2;

/** The vector of the first end token; without one, of the first token. @returns [B, D] */
function pooledOutput({ g, config, states, inputIds }: Encoded, endToken: number): Value {
  const last = layerNorm(g, states.at(-1) as Value, 'final_layer_norm', config.layer_norm_eps);
  // As float32, which holds every id: devices have no ArgMax of whole numbers.
  const ids = g.cast(inputIds, 'float32');
  // In bfloat16 the ids of the start and of the end token of CLIP would be one number.
  const marks = g.inFloat32(endToken === WRONG_END_TOKEN ? ids : isEqual(g, ids, endToken));
  const position = g.node('ArgMax', [marks], {
    attributes: { axis: 1, keepdims: 1 },
    shape: [1, 1],
    type: 'int64',
  });
  return g.node('GatherND', [last, position], { attributes: { batch_dims: 1 }, shape: [1, config.hidden_size] });
}

/** 0 where the whole number is `value`, −1 elsewhere. */
function isEqual(g: GraphBuilder, x: Value, value: number): Value {
  const number = (n: number): Value => g.constant([n], [1], 'float32');
  const distance = g.node('Abs', [g.node('Sub', [x, number(value)], { shape: x.shape })], { shape: x.shape });
  return g.node('Max', [g.node('Neg', [distance], { shape: x.shape }), number(-1)], { shape: x.shape });
}

/** The first `tokens` of them. [T, D] */
function positionEmbeddings(g: GraphBuilder, config: ClipTextConfig, tokens: number): Value {
  const { max_position_embeddings: positions, hidden_size: features } = config;
  const all = g.weight('embeddings.position_embedding.weight', [positions, features]);
  if (tokens === positions) return all;
  const [start, end] = [g.integers([0]), g.integers([tokens])];
  return g.node('Slice', [all, start, end], { shape: [tokens, features] });
}

/** The values that all layers share. */
interface EncoderLayer {
  readonly config: ClipTextConfig;
  readonly mask: CausalMask;
}

/** @param x [B, T, D] @returns [B, T, D] */
function encoderLayer(g: GraphBuilder, x: Value, prefix: string, { config, mask }: EncoderLayer): Value {
  const { hidden_size: features, layer_norm_eps: epsilon } = config;
  const normal = layerNorm(g, x, `${prefix}.layer_norm1`, epsilon);
  const project = (name: string): Value => linear(g, normal, `${prefix}.self_attn.${name}`, { outFeatures: features });
  const attended = multiHeadAttention(g, {
    query: project('q_proj'),
    key: project('k_proj'),
    value: project('v_proj'),
    heads: config.num_attention_heads,
    ...mask,
  });
  const hidden = add(g, x, linear(g, attended, `${prefix}.self_attn.out_proj`, { outFeatures: features }));
  const second = layerNorm(g, hidden, `${prefix}.layer_norm2`, epsilon);
  const inner = linear(g, second, `${prefix}.mlp.fc1`, { outFeatures: config.intermediate_size });
  const activated = config.hidden_act === 'quick_gelu' ? quickGelu(g, inner) : gelu(g, inner);
  return add(g, hidden, linear(g, activated, `${prefix}.mlp.fc2`, { outFeatures: features }));
}

/** The same in both classes. */
const COMMON = {
  weightsBaseName: 'model',
  /** Newer savers of transformers omit the prefix. */
  tensorName: (stored: string) => stored.replace(/^text_model\./, ''),
  computeType: (_: ClipTextConfig, wanted: ComputeType) => wanted,
  maxTokens: ({ max_position_embeddings: positions }: ClipTextConfig) => positions,
} as const;

export const CLIP_TEXT_MODEL: NetworkClass<ClipTextConfig> = {
  ...COMMON,
  className: 'CLIPTextModel',
  rules: CLIP_TEXT_RULES,
  build: buildTextEncoder,
  moreGraphs: { any_layer: { build: buildAnyLayer } },
};

export const CLIP_TEXT_MODEL_WITH_PROJECTION: NetworkClass<ClipTextProjectionConfig> = {
  ...COMMON,
  className: 'CLIPTextModelWithProjection',
  rules: CLIP_TEXT_PROJECTION_RULES,
  build: buildProjectedTextEncoder,
};
