/**
 * The transformer of a UNet block: positions attend to each other and to the prompt.
 * Source: diffusers models/transformers/transformer_2d.py, Transformer2DModel; models/attention.py, BasicTransformerBlock and
 * FeedForward with GEGLU.
 */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';
import { attention } from './attention.ts';
import { biasSplitGelu, fusesSplitGelu, type SumAndNorm } from './fused-operators.ts';
import { biasedSum, normedSum } from './norms.ts';
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
  const { groups, layers } = options;
  // With its channels last a feature map is a sequence of tokens, and a 1×1 convolution is a product.
  const isLast = g.form === 'fused';
  const useLinearProjection = options.useLinearProjection || isLast;
  const channels = x.shape[1] ?? 0;
  const normal = groupNorm(g, x, `${prefix}.norm`, { groups, epsilon: GROUP_NORM_EPSILON });
  const projected = useLinearProjection
    ? normal
    : conv2d(g, normal, `${prefix}.proj_in`, { outChannels: channels, kernel: 1 });
  const { tokens, restore } = toTokens(g, projected); // [B, h·w, C]
  const first = useLinearProjection ? linear(g, tokens, `${prefix}.proj_in`, { outFeatures: channels }) : tokens;
  const hidden = transformerBlocks(
    g,
    first,
    Array.from({ length: layers }, (_, layer) => `${prefix}.transformer_blocks.${layer}`),
    options,
  );
  const projection = `${prefix}.proj_out`;
  if (isLast) {
    const project = (bias: boolean): Value => linear(g, hidden, projection, { outFeatures: channels, bias });
    return restore(biasedSum(g, project, { projection, residual: toTokens(g, x).tokens }));
  }
  if (useLinearProjection) {
    return add(g, restore(linear(g, hidden, projection, { outFeatures: channels })), x);
  }
  return add(g, conv2d(g, restore(hidden), projection, { outChannels: channels, kernel: 1 }), x);
}

/** @param x [B, S, C] @returns [B, S, C] */
function transformerBlocks(
  g: GraphBuilder,
  x: Value,
  prefixes: readonly string[],
  options: Transformer2dOptions,
): Value {
  const norms = prefixes.map((prefix) => `${prefix}.norm1`);
  if (norms[0] === undefined) return x;
  let state: SumAndNorm = { sum: x, normal: layerNorm(g, x, norms[0]) };
  for (const [layer, prefix] of prefixes.entries()) {
    const { sum, normal } = attendBoth(g, state, prefix, options);
    const project = (bias: boolean): Value => feedForward(g, normal, `${prefix}.ff`, bias);
    const next = norms[layer + 1];
    const ending = { projection: `${prefix}.ff.net.2`, residual: sum };
    if (next === undefined) return biasedSum(g, project, ending);
    state = normedSum(g, project, { ...ending, norm: next });
  }
  return state.sum;
}

/** @returns the sum after both attentions, and its norm */
function attendBoth(
  g: GraphBuilder,
  { sum: x, normal: first }: SumAndNorm,
  prefix: string,
  { heads, encoderHiddenStates, onlyCrossAttention }: Transformer2dOptions,
): SumAndNorm {
  const context = onlyCrossAttention ? encoderHiddenStates : first;
  const { sum, normal } = normedSum(
    g,
    (outBias) => attention(g, first, `${prefix}.attn1`, { context, heads, outBias }),
    { projection: `${prefix}.attn1.to_out.0`, residual: x, norm: `${prefix}.norm2` },
  );
  return normedSum(
    g,
    (outBias) => attention(g, normal, `${prefix}.attn2`, { context: encoderHiddenStates, heads, outBias }),
    { projection: `${prefix}.attn2.to_out.0`, residual: sum, norm: `${prefix}.norm3` },
  );
}

/** GEGLU: one projection gives a value and a gate. @param x [B, S, C] @param bias of the last layer */
function feedForward(g: GraphBuilder, x: Value, prefix: string, bias: boolean): Value {
  const features = x.shape.at(-1) ?? 0;
  const inner = features * 4;
  const last = { outFeatures: features, bias };
  const gated = `${prefix}.net.0.proj`;
  if (fusesSplitGelu(g, inner * 2)) {
    const product = linear(g, x, gated, { outFeatures: inner * 2, bias: false });
    const opened = biasSplitGelu(g, product, g.weight(`${gated}.bias`, [inner * 2]));
    return linear(g, opened, `${prefix}.net.2`, last);
  }
  const both = linear(g, x, gated, { outFeatures: inner * 2 });
  const half = [...x.shape.slice(0, -1), inner];
  const [value, gate] = g.nodes('Split', [both], { attributes: { axis: -1, num_outputs: 2 }, shape: half }, [
    half,
    half,
  ]) as [Value, Value];
  return linear(g, multiply(g, value, gelu(g, gate)), `${prefix}.net.2`, last);
}
