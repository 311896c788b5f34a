/**
 * The text encoder: token ids in, the last hidden state after the final LayerNorm out.
 * Source: transformers models/clip/modeling_clip.py, CLIPTextTransformer.
 */
import { type BuiltGraph, GraphBuilder, type Value } from '../onnx/graph.ts';
import { CLIP_TEXT_RULES, type ClipTextConfig } from './clip-text-config.ts';
import { multiHeadAttention } from './layers/attention.ts';
import { add, gelu, layerNorm, linear, quickGelu } from './layers/primitives.ts';
import type { NetworkBuild, NetworkClass } from './network-class.ts';

/**
 * Input: `input_ids` [B, T], int32; output: `last_hidden_state` [B, T, D], float32. T is `sizes.tokens`, at most `max_position_embeddings`.
 * @throws `missing_tensor`, `wrong_tensor_shape`
 */
function buildTextEncoder({ config, weights, computeType, sizes = {} }: NetworkBuild<ClipTextConfig>): BuiltGraph {
  const { tokens = config.max_position_embeddings } = sizes;
  const g = new GraphBuilder(weights, computeType);
  const features = config.hidden_size;
  const inputIds = g.input('input_ids', 'int32', ['batch', tokens], [1, tokens]);
  const table = g.weight('embeddings.token_embedding.weight', [config.vocab_size, features]);
  const tokenEmbeddings = g.node('Gather', [table, inputIds], {
    attributes: { axis: 0 },
    shape: [1, tokens, features],
  });
  let hidden = add(g, tokenEmbeddings, positionEmbeddings(g, config, tokens));
  const mask = causalMask(g, tokens);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    hidden = encoderLayer(g, hidden, `encoder.layers.${layer}`, { config, mask });
  }
  hidden = layerNorm(g, hidden, 'final_layer_norm', config.layer_norm_eps);
  g.output('last_hidden_state', hidden, ['batch', tokens, features]);
  return g.build('CLIPTextModel');
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
  /** [1, 1, T, T] */
  readonly mask: Value;
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
    bias: mask,
  });
  const hidden = add(g, x, linear(g, attended, `${prefix}.self_attn.out_proj`, { outFeatures: features }));
  const second = layerNorm(g, hidden, `${prefix}.layer_norm2`, epsilon);
  const inner = linear(g, second, `${prefix}.mlp.fc1`, { outFeatures: config.intermediate_size });
  const activated = config.hidden_act === 'quick_gelu' ? quickGelu(g, inner) : gelu(g, inner);
  return add(g, hidden, linear(g, activated, `${prefix}.mlp.fc2`, { outFeatures: features }));
}

/** Added to the attention scores: no token looks at a later one. [1, 1, T, T] */
function causalMask(g: GraphBuilder, tokens: number): Value {
  // The largest negative number that float16 holds: after softmax it is zero in either precision.
  const mask = Array.from({ length: tokens * tokens }, (_, index) =>
    index % tokens > Math.floor(index / tokens) ? -65504 : 0,
  );
  return g.constant(mask, [1, 1, tokens, tokens]);
}

export const CLIP_TEXT_MODEL: NetworkClass<ClipTextConfig> = {
  className: 'CLIPTextModel',
  rules: CLIP_TEXT_RULES,
  weightsBaseName: 'model',
  /** Newer savers of transformers omit the prefix. */
  tensorName: (stored) => stored.replace(/^text_model\./, ''),
  computeType: (_, wanted) => wanted,
  maxTokens: ({ max_position_embeddings: positions }) => positions,
  build: buildTextEncoder,
};
