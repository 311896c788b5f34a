/**
 * The transformer of a UNet block: positions attend to each other and to the prompt.
 * Source: diffusers models/transformers/transformer_2d.py, Transformer2DModel; models/attention.py, BasicTransformerBlock and
 * FeedForward with GEGLU.
 */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';
import { attention } from './attention.ts';
import { add, conv2d, gelu, groupNorm, layerNorm, linear, multiply } from './primitives.ts';
import { toTokens } from './resnet-block-2d.ts';

export interface Transformer2dOptions {
  readonly heads: number;
  readonly groups: number;
  readonly layers: number;
  readonly useLinearProjection: boolean;
  /** The first attention looks at the prompt as well, not at the positions. */
  readonly onlyCrossAttention: boolean;
  /** [B, T, D] */
  readonly encoderHiddenStates: Value;
}

/** Transformer2DModel's own GroupNorm does not read the UNet's `norm_eps`. */
const GROUP_NORM_EPSILON = 1e-6;

/** @param x [B, C, h, w] @returns the same shape */
export function transformer2d(g: GraphBuilder, x: Value, prefix: string, options: Transformer2dOptions): Value {
  const { groups, layers, useLinearProjection } = options;
  const channels = x.shape[1] ?? 0;
  const normal = groupNorm(g, x, `${prefix}.norm`, { groups, epsilon: GROUP_NORM_EPSILON });
  const projected = useLinearProjection
    ? normal
    : conv2d(g, normal, `${prefix}.proj_in`, { outChannels: channels, kernel: 1 });
  const { tokens, restore } = toTokens(g, projected); // [B, h·w, C]
  let hidden = useLinearProjection ? linear(g, tokens, `${prefix}.proj_in`, { outFeatures: channels }) : tokens;
  for (let layer = 0; layer < layers; layer++) {
    hidden = transformerBlock(g, hidden, `${prefix}.transformer_blocks.${layer}`, options);
  }
  if (useLinearProjection) {
    return add(g, restore(linear(g, hidden, `${prefix}.proj_out`, { outFeatures: channels })), x);
  }
  return add(g, conv2d(g, restore(hidden), `${prefix}.proj_out`, { outChannels: channels, kernel: 1 }), x);
}

/** @param x [B, S, C] @returns [B, S, C] */
function transformerBlock(g: GraphBuilder, x: Value, prefix: string, options: Transformer2dOptions): Value {
  const { heads, encoderHiddenStates, onlyCrossAttention } = options;
  const first = layerNorm(g, x, `${prefix}.norm1`);
  const context = onlyCrossAttention ? encoderHiddenStates : first;
  let hidden = add(g, attention(g, first, `${prefix}.attn1`, { context, heads }), x);
  const second = layerNorm(g, hidden, `${prefix}.norm2`);
  hidden = add(g, attention(g, second, `${prefix}.attn2`, { context: encoderHiddenStates, heads }), hidden);
  return add(g, feedForward(g, layerNorm(g, hidden, `${prefix}.norm3`), `${prefix}.ff`), hidden);
}

/** GEGLU: one projection gives a value and a gate. @param x [B, S, C] */
function feedForward(g: GraphBuilder, x: Value, prefix: string): Value {
  const features = x.shape.at(-1) ?? 0;
  const inner = features * 4;
  const both = linear(g, x, `${prefix}.net.0.proj`, { outFeatures: inner * 2 });
  const half = [...x.shape.slice(0, -1), inner];
  const [value, gate] = g.nodes('Split', [both], { attributes: { axis: -1, num_outputs: 2 }, shape: half }, [
    half,
    half,
  ]) as [Value, Value];
  return linear(g, multiply(g, value, gelu(g, gate)), `${prefix}.net.2`, { outFeatures: features });
}
