/** Norms with what stands before or behind them. The fused form has one operator for some of these. */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';
import type { Activation } from '../activation.ts';
import {
  biasAdd,
  fusedGroupNorm,
  fusesBiasAdd,
  fusesGroupNorm,
  skipGroupNorm,
  skipLayerNorm,
  type SumAndNorm,
} from './fused-operators.ts';
import { activate, add, conv2d, groupNorm, layerNorm, linear } from './primitives.ts';

export interface ActivatedNorm {
  readonly groups: number;
  readonly epsilon: number;
  /** Absent: none. */
  readonly activation?: Activation;
}

/** @param x [B, C, h, w] */
export function activatedGroupNorm(g: GraphBuilder, x: Value, prefix: string, norm: ActivatedNorm): Value {
  const { activation, ...plain } = norm;
  if (isSilu(activation) && fusesGroupNorm(g, { channels: x.shape[1] ?? 0, groups: norm.groups }))
    return fusedGroupNorm(g, x, prefix, { ...plain, silu: true });
  const normal = groupNorm(g, x, prefix, plain);
  return activation === undefined ? normal : activate(g, normal, activation);
}

interface TimedConv extends ActivatedNorm {
  readonly outChannels: number;
  /** The prefixes of three layers. */
  readonly conv: string;
  readonly timeProjection: string;
  readonly norm: string;
  /** [1, E] or [B, E]; `rowPerImage` made it. */
  readonly time: Value;
  /** Of the portable form: adds the time to the convolution's result. */
  readonly addTime: (x: Value) => Value;
}

/** A convolution, the time added to it, and the norm of that with its activation. @param x [B, C, h, w] */
export function convolvedWithTime(g: GraphBuilder, x: Value, options: TimedConv): Value {
  const { outChannels, conv, norm, groups, epsilon, activation } = options;
  if (!fusesGroupNorm(g, { channels: outChannels, groups }))
    return activatedGroupNorm(g, options.addTime(conv2d(g, x, conv, { outChannels })), norm, {
      groups,
      epsilon,
      ...(activation === undefined ? {} : { activation }),
    });
  const product = conv2d(g, x, conv, { outChannels, bias: false });
  const silu = isSilu(activation);
  const normal = skipGroupNorm(g, product, norm, {
    groups,
    epsilon,
    silu,
    skip: linear(g, options.time, options.timeProjection, { outFeatures: outChannels, bias: false, keepsFloat: true }),
    // ONNX Runtime adds two weights once, when it opens the graph.
    bias: add(g, g.weight(`${conv}.bias`, [outChannels]), g.weight(`${options.timeProjection}.bias`, [outChannels])),
  });
  return silu || activation === undefined ? normal : activate(g, normal, activation);
}

function isSilu(activation: Activation | undefined): boolean {
  return activation === 'silu' || activation === 'swish';
}

/**
 * The time embedding with a row for each image, where the form of the graph needs that: SkipGroupNorm does not repeat one row.
 * @param time [1, E] or [B, E] @param like its first dimension is the batch
 */
export function rowPerImage(g: GraphBuilder, time: Value, like: Value): Value {
  if (g.form === 'portable') return time;
  const [, features = 1] = time.shape;
  const batch = g.node('Shape', [like], { attributes: { start: 0, end: 1 }, shape: [1], type: 'int64' });
  const shape = g.node('Concat', [batch, g.integers([features])], { attributes: { axis: 0 }, shape: [2] });
  return g.node('Expand', [time, shape], { shape: [like.shape[0] ?? 1, features] });
}

interface NormedSum {
  /** Prefix of the linear layer that ends with the sum's first part. */
  readonly projection: string;
  readonly residual: Value;
  /** Prefix of the norm. */
  readonly norm: string;
}

const LAYER_NORM_EPSILON = 1e-5;

/**
 * A projection's result added to a residual, and the norm of the sum.
 * @param project writes the linear layer, with its bias or without @returns [B, S, C] both
 */
export function normedSum(
  g: GraphBuilder,
  project: (bias: boolean) => Value,
  { projection, residual, norm }: NormedSum,
): SumAndNorm {
  if (g.form === 'portable') {
    const sum = biasedSum(g, project, { projection, residual });
    return { sum, normal: layerNorm(g, sum, norm, LAYER_NORM_EPSILON) };
  }
  const product = project(false);
  const bias = g.weight(`${projection}.bias`, [product.shape.at(-1) ?? 0]);
  return skipLayerNorm(g, product, { residual, bias, prefix: norm, epsilon: LAYER_NORM_EPSILON });
}

/** A projection's result added to a residual. @param project as of `normedSum` @returns [B, S, C] */
export function biasedSum(
  g: GraphBuilder,
  project: (bias: boolean) => Value,
  { projection, residual }: Omit<NormedSum, 'norm'>,
): Value {
  const features = residual.shape.at(-1) ?? 0;
  if (!fusesBiasAdd(g, features)) return add(g, project(true), residual);
  const product = project(false);
  return biasAdd(g, product, g.weight(`${projection}.bias`, [features]), residual);
}
