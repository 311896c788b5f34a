/**
 * The operators of the fused form with their conditions. Where one does not hold, the layer writes the portable nodes.
 * Source: the CUDA kernels of ONNX Runtime 1.30, contrib_ops/cuda/diffusion and contrib_ops/cuda/bert.
 */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';

/** group_norm_impl.cu, LaunchGroupNormKernel: a thread computes two channels of one group, and a block at most 512. */
const LARGEST_GROUP = 512;

export interface GroupNormShape {
  readonly channels: number;
  readonly groups: number;
}

export function fusesGroupNorm(g: GraphBuilder, { channels, groups }: GroupNormShape): boolean {
  const perGroup = channels / groups;
  return g.form === 'fused' && perGroup % 2 === 0 && perGroup <= LARGEST_GROUP;
}

export interface FusedNorm {
  readonly groups: number;
  readonly epsilon: number;
  /** The norm's result goes through SiLU. */
  readonly silu: boolean;
}

/** @param x [B, C, h, w] @returns the same shape, channels last */
export function fusedGroupNorm(g: GraphBuilder, x: Value, prefix: string, norm: FusedNorm): Value {
  const input = g.channelsLast(x);
  return g.node('GroupNorm', [input, ...float32Affine(g, x, prefix)], { ...attributesOf(norm), shape: x.shape });
}

export interface Added {
  /** [B, C], one row for each image. */
  readonly skip: Value;
  /** [C] */
  readonly bias: Value;
}

/** The norm of x + skip + bias. @param x [B, C, h, w] @returns the same shape, channels last */
export function skipGroupNorm(
  g: GraphBuilder,
  x: Value,
  prefix: string,
  { skip, bias, ...norm }: FusedNorm & Added,
): Value {
  const inputs = [g.channelsLast(x), ...float32Affine(g, x, prefix), skip, bias];
  return g.node('SkipGroupNorm', inputs, { ...attributesOf(norm), shape: x.shape });
}

function attributesOf({ groups, epsilon, silu }: FusedNorm): {
  readonly fused: true;
  readonly attributes: Readonly<Record<string, number>>;
  readonly floats: Readonly<Record<string, number>>;
} {
  return { fused: true, attributes: { groups, activation: silu ? 1 : 0 }, floats: { epsilon } };
}

/** The kernel takes them in float32 only. */
function float32Affine(g: GraphBuilder, { shape: [, channels = 1] }: Value, prefix: string): readonly [Value, Value] {
  return [
    g.weight(`${prefix}.weight`, [channels], { type: 'float32' }),
    g.weight(`${prefix}.bias`, [channels], { type: 'float32' }),
  ];
}

/** bias_split_gelu.cc: widths of both halves together, as the library of 1.30 names them in its error. */
const SPLIT_GELU_WIDTHS: readonly number[] = [2560, 5120, 6144, 10_240, 12_288];

/** @param features of both halves */
export function fusesSplitGelu(g: GraphBuilder, features: number): boolean {
  return g.form === 'fused' && SPLIT_GELU_WIDTHS.includes(features);
}

/** The first half of x + bias times Gelu of the second. @param x [B, S, 2 C] @returns [B, S, C] */
export function biasSplitGelu(g: GraphBuilder, x: Value, bias: Value): Value {
  const shape = [...x.shape.slice(0, -1), (x.shape.at(-1) ?? 0) / 2];
  return g.node('BiasSplitGelu', [x, bias], { fused: true, shape });
}

/** bias_add.cc */
const BIAS_ADD_WIDTHS: readonly number[] = [320, 640, 1280];

export function fusesBiasAdd(g: GraphBuilder, features: number): boolean {
  return g.form === 'fused' && BIAS_ADD_WIDTHS.includes(features);
}

/** x + bias + residual. @param x [B, S, C] @returns the same shape */
export function biasAdd(g: GraphBuilder, x: Value, bias: Value, residual: Value): Value {
  return g.node('BiasAdd', [x, bias, residual], { fused: true, shape: x.shape });
}

export interface SumAndNorm {
  readonly sum: Value;
  readonly normal: Value;
}

interface LayerNormInputs {
  readonly residual: Value;
  /** [C] */
  readonly bias: Value;
  /** Of the norm's weights. */
  readonly prefix: string;
  readonly epsilon: number;
}

/** x + residual + bias, and the norm of it. @param x [B, S, C] */
export function skipLayerNorm(
  g: GraphBuilder,
  x: Value,
  { residual, bias, prefix, epsilon }: LayerNormInputs,
): SumAndNorm {
  const features = [x.shape.at(-1) ?? 0];
  const inputs = [x, residual, g.weight(`${prefix}.weight`, features), g.weight(`${prefix}.bias`, features), bias];
  // ONNX Runtime's CPU provider has this one too, so it is never spelled out.
  const options = { microsoft: true, floats: { epsilon }, shape: x.shape };
  const [normal, , , sum] = g.nodes('SkipLayerNormalization', inputs, options, [
    x.shape,
    undefined,
    undefined,
    x.shape,
  ]) as [Value, Value, Value, Value];
  return { sum, normal };
}
