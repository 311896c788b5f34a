/** The convolutional residual block of UNet and autoencoder. Source: diffusers models/resnet.py, ResnetBlock2D. */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';
import { axisInMemory } from '../../onnx/layout.ts';
import type { Activation } from '../activation.ts';
import { biasAdd, fusesBiasAdd } from './fused-operators.ts';
import { activatedGroupNorm, convolvedWithTime } from './norms.ts';
import { activate, add, conv2d, divideBy, groupNorm, linear, multiply, reshapeLike } from './primitives.ts';

export interface ResnetBlockOptions {
  readonly outChannels: number;
  readonly groups: number;
  readonly epsilon: number;
  /** Default: `silu`. */
  readonly activation?: Activation;
  /** The time embedding after the activation, [1, E] or [B, E], out of `rowPerImage`; absent in the autoencoder. */
  readonly activatedTimeEmbedding?: Value;
  /** Whether the time embedding scales and shifts the second norm's result, or is added before that norm. */
  readonly timeScaleShift?: boolean;
  readonly outputScaleFactor?: number;
}

/** @param x [B, C, h, w] @returns [B, outChannels, h, w] */
export function resnetBlock2d(g: GraphBuilder, x: Value, prefix: string, options: ResnetBlockOptions): Value {
  const { outChannels, groups, epsilon, activation = 'silu', outputScaleFactor = 1 } = options;
  const first = activatedGroupNorm(g, x, `${prefix}.norm1`, { groups, epsilon, activation });
  const second = convolvedAndNormed(g, first, prefix, { ...options, activation });
  return divideBy(g, sumWithShortcut(g, { x, hidden: second, prefix, outChannels }), outputScaleFactor);
}

interface BlockEnd {
  /** The block's input. */
  readonly x: Value;
  /** The input of the second convolution. */
  readonly hidden: Value;
  readonly prefix: string;
  readonly outChannels: number;
}

/** The second convolution and the shortcut. The fused form adds both results and the biases at once: cuDNN takes a pass over memory for each bias. */
function sumWithShortcut(g: GraphBuilder, { x, hidden, prefix, outChannels }: BlockEnd): Value {
  const isShort = x.shape[1] === outChannels;
  const bias = !fusesBiasAdd(g, outChannels);
  const result = conv2d(g, hidden, `${prefix}.conv2`, { outChannels, bias });
  const shortcut = isShort ? x : conv2d(g, x, `${prefix}.conv_shortcut`, { outChannels, kernel: 1, bias });
  if (bias) return add(g, shortcut, result);
  const biases = (isShort ? ['conv2'] : ['conv2', 'conv_shortcut']).map((name) =>
    g.weight(`${prefix}.${name}.bias`, [outChannels]),
  );
  const { tokens, restore } = toTokens(g, result);
  const [first, second] = biases as [Value, Value?];
  // ONNX Runtime adds two weights once, when it opens the graph.
  const both = second === undefined ? first : add(g, first, second);
  return restore(biasAdd(g, tokens, both, toTokens(g, shortcut).tokens));
}

/** The first convolution, the time in it, the second norm and its activation. */
function convolvedAndNormed(
  g: GraphBuilder,
  x: Value,
  prefix: string,
  options: ResnetBlockOptions & { readonly activation: Activation },
): Value {
  const { outChannels, groups, epsilon, activation, activatedTimeEmbedding: time, timeScaleShift = false } = options;
  const [conv, norm, timeProjection] = [`${prefix}.conv1`, `${prefix}.norm2`, `${prefix}.time_emb_proj`];
  const settings = { groups, epsilon, activation };
  if (time === undefined) return activatedGroupNorm(g, conv2d(g, x, conv, { outChannels }), norm, settings);
  if (!timeScaleShift) {
    const addTime = (hidden: Value): Value => add(g, hidden, perChannel(g, time, timeProjection, outChannels));
    return convolvedWithTime(g, x, { ...settings, outChannels, conv, norm, timeProjection, time, addTime });
  }
  const normal = groupNorm(g, conv2d(g, x, conv, { outChannels }), norm, { groups, epsilon });
  return activate(g, scaleAndShift(g, normal, timeProjection, time), activation);
}

/** @param time [B, E] @returns [B, outChannels, 1, 1] */
function perChannel(g: GraphBuilder, time: Value, prefix: string, outChannels: number): Value {
  const projected = linear(g, time, prefix, { outFeatures: outChannels, keepsFloat: true }); // [B, outChannels]
  const isLast = g.form === 'fused';
  return g.node('Reshape', [projected, g.integers(isLast ? [0, 1, 1, outChannels] : [0, outChannels, 1, 1])], {
    shape: [time.shape[0] ?? 1, outChannels, 1, 1],
    ...(isLast ? { layout: 'channels-last' } : {}),
  });
}

/** x · (1 + scale) + shift, both of them from the time embedding. */
function scaleAndShift(g: GraphBuilder, x: Value, prefix: string, time: Value): Value {
  const channels = x.shape[1] ?? 0;
  const both = perChannel(g, time, prefix, channels * 2);
  const half = [time.shape[0] ?? 1, channels, 1, 1];
  const attributes = { axis: axisInMemory(both, 1), num_outputs: 2 };
  const [scale, shift] = g.nodes('Split', [both], { attributes, shape: half }, [half, half]) as [Value, Value];
  return add(g, multiply(g, x, add(g, scale, g.constant([1], [1]))), shift);
}

/** Halves height and width. Source: diffusers models/downsampling.py, Downsample2D. */
export function downsample2d(g: GraphBuilder, x: Value, prefix: string, padding: number): Value {
  // Padding 0 means one row below and one column to the right, as the autoencoder's encoder has it.
  const pads = padding === 0 ? ([0, 0, 1, 1] as const) : ([padding, padding, padding, padding] as const);
  return conv2d(g, x, `${prefix}.conv`, { outChannels: x.shape[1] ?? 0, stride: 2, pads });
}

/**
 * Nearest-neighbour enlargement and a convolution. Source: diffusers models/upsampling.py, Upsample2D.
 * @param like its height and width are the target; without it both double
 */
export function upsample2d(g: GraphBuilder, x: Value, prefix: string, like?: Value): Value {
  return conv2d(g, enlarge2d(g, x, like), `${prefix}.conv`, { outChannels: x.shape[1] ?? 1 });
}

/**
 * By the nearest neighbour.
 * @param like its height and width are the target; without it both double
 */
export function enlarge2d(g: GraphBuilder, x: Value, like?: Value): Value {
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape;
  const target = like ?? { shape: [batch, channels, height * 2, width * 2] };
  const shape = [batch, channels, target.shape[2] ?? 1, target.shape[3] ?? 1];
  const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  if (like === undefined) {
    const scales = x.layout === undefined ? [1, 1, 2, 2] : [1, 2, 2, 1];
    return g.node('Resize', [x, undefined, g.constant(scales, [4], 'float32')], { attributes, shape });
  }
  const [from, to] = g.inOneLayout([x, like]) as [Value, Value];
  return g.node('Resize', [from, undefined, undefined, sizesLike(g, from, to)], { attributes, shape });
}

function sizesLike(g: GraphBuilder, x: Value, like: Value): Value {
  const sizes = (of: Value, start: number, end: number): Value =>
    g.node('Shape', [of], { attributes: { start, end }, shape: [end - start], type: 'int64' });
  const parts =
    x.layout === undefined ? [sizes(x, 0, 2), sizes(like, 2, 4)] : [sizes(x, 0, 1), sizes(like, 1, 3), sizes(x, 3, 4)];
  return g.node('Concat', parts, { attributes: { axis: 0 }, shape: [4], type: 'int64' });
}

/** Feature maps as token sequences and back, for attention over positions. With their channels last they are such sequences already. */
export function toTokens(
  g: GraphBuilder,
  x: Value,
): { readonly tokens: Value; readonly restore: (tokens: Value) => Value } {
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape;
  const last = g.channelsLast(x);
  const tokens = g.node('Reshape', [last, g.integers([0, -1, channels])], { shape: [batch, height * width, channels] });
  const restore = (changed: Value): Value => {
    const restored = reshapeLike(g, changed, last);
    return g.form === 'fused' ? restored : g.channelsFirst(restored);
  };
  return { tokens, restore };
}
