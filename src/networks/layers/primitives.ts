/**
 * The operators that every network is made of, each lowered to the ONNX form that was fastest on a CPU and runs on WebGPU too. In the fused form
 * feature maps have their channels last, and convolutions and norms are CUDA's.
 * Parameters are named as in PyTorch's `nn` modules: a module at `prefix` has `prefix.weight` and `prefix.bias`.
 */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';
import { axisInMemory } from '../../onnx/layout.ts';
import type { Activation } from '../activation.ts';
import { fusedGroupNorm, fusesGroupNorm } from './fused-operators.ts';

export interface ConvOptions {
  readonly outChannels: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly bias?: boolean;
  /** Top, left, bottom, right; default: (kernel − 1) / 2 on every side. */
  readonly pads?: readonly [number, number, number, number];
}

/** @param x [B, C, h, w] @returns [B, outChannels, h', w'] */
export function conv2d(g: GraphBuilder, x: Value, prefix: string, options: ConvOptions): Value {
  const { outChannels, kernel = 3, stride = 1, bias = true } = options;
  const around = Math.floor((kernel - 1) / 2);
  const pads = options.pads ?? [around, around, around, around];
  const [batch, channels, height, width] = dims4(x);
  const outHeight = Math.floor((height + pads[0] + pads[2] - kernel) / stride) + 1;
  const outWidth = Math.floor((width + pads[1] + pads[3] - kernel) / stride) + 1;
  g.countFlops(2 * batch * outChannels * channels * kernel * kernel * outHeight * outWidth);
  const isFused = g.form === 'fused';
  const input = isFused ? g.channelsLast(x) : x;
  const weightShape = [outChannels, channels, kernel, kernel];
  const weight = g.weight(`${prefix}.weight`, weightShape, isFused ? { channelsLast: true } : {});
  const shift = bias ? [g.weight(`${prefix}.bias`, [outChannels])] : [];
  return g.node(isFused ? 'NhwcConv' : 'Conv', [input, weight, ...shift], {
    attributes: { kernel_shape: [kernel, kernel], strides: [stride, stride], pads },
    shape: [batch, outChannels, outHeight, outWidth],
    ...(isFused ? { fused: true } : {}),
  });
}

export interface LinearOptions {
  readonly outFeatures: number;
  readonly bias?: boolean;
  /** Its weights are never in 8 bits. */
  readonly keepsFloat?: true;
}

/**
 * `x · Wᵀ + b`, with the [out, in] weight used as it lies in the file: `MatMul(Transpose(W))` would be folded into a private copy.
 * @param x [..., in] @returns [..., outFeatures]
 */
export function linear(g: GraphBuilder, x: Value, prefix: string, options: LinearOptions): Value {
  const { outFeatures, bias = true, keepsFloat = false } = options;
  const inFeatures = x.shape.at(-1) ?? 0;
  const shape = [...x.shape.slice(0, -1), outFeatures];
  g.countFlops(2 * x.shape.reduce((product, size) => product * size, 1) * outFeatures);
  const weight = g.weight(`${prefix}.weight`, [outFeatures, inFeatures]);
  // open_clip stores its projection as [in, out].
  const transB = g.isTransposed(`${prefix}.weight`) ? 0 : 1;
  const product = g.node('FusedMatMul', [x, weight], { attributes: { transB }, microsoft: true, shape });
  if (!keepsFloat) g.mayPack(product, `${prefix}.weight`);
  return bias ? add(g, product, g.weight(`${prefix}.bias`, [outFeatures])) : product;
}

export function add(g: GraphBuilder, a: Value, b: Value): Value {
  return g.node('Add', g.inOneLayout([a, b]), { shape: broadcast(a.shape, b.shape) });
}

export function multiply(g: GraphBuilder, a: Value, b: Value): Value {
  return g.node('Mul', g.inOneLayout([a, b]), { shape: broadcast(a.shape, b.shape) });
}

/** x / divisor; `x` itself for a divisor of 1. */
export function divideBy(g: GraphBuilder, x: Value, divisor: number): Value {
  return divisor === 1 ? x : g.node('Div', [x, g.constant([divisor], [1], floatType(x))], { shape: x.shape });
}

export function layerNorm(g: GraphBuilder, x: Value, prefix: string, epsilon = 1e-5): Value {
  const features = x.shape.at(-1) ?? 0;
  const scale = g.weight(`${prefix}.weight`, [features]);
  const shift = g.weight(`${prefix}.bias`, [features]);
  return g.node('LayerNormalization', [x, scale, shift], {
    attributes: { axis: -1 },
    floats: { epsilon },
    shape: x.shape,
  });
}

/**
 * As one InstanceNormalization over [B, groups, rest] and an affine step: 7 ms against 11 ms for GroupNormalization-21 at 320×64×64 on two
 * AVX2 cores.
 * @param given [B, C, ...]
 */
export function groupNorm(
  g: GraphBuilder,
  given: Value,
  prefix: string,
  { groups, epsilon }: { readonly groups: number; readonly epsilon: number },
): Value {
  const [batch = 1, channels = 1, ...rest] = given.shape;
  if (given.shape.length === 4 && fusesGroupNorm(g, { channels, groups }))
    return fusedGroupNorm(g, given, prefix, { groups, epsilon, silu: false });
  const x = g.channelsFirst(given);
  const perGroup = (channels / groups) * rest.reduce((product, size) => product * size, 1);
  const grouped = g.node('Reshape', [x, g.integers([0, groups, -1])], { shape: [batch, groups, perGroup] });
  const ones = g.constant(
    Array.from({ length: groups }, () => 1),
    [groups],
    floatType(x),
  );
  const zeros = g.constant(
    Array.from({ length: groups }, () => 0),
    [groups],
    floatType(x),
  );
  const normal = g.node('InstanceNormalization', [grouped, ones, zeros], { floats: { epsilon }, shape: grouped.shape });
  const restored = reshapeLike(g, normal, x);
  const affine = [channels, ...rest.map(() => 1)];
  return add(g, multiply(g, restored, g.weight(`${prefix}.weight`, affine)), g.weight(`${prefix}.bias`, affine));
}

/** x · sigmoid(x) in one pass. */
export function silu(g: GraphBuilder, x: Value): Value {
  return g.node('QuickGelu', [x], { floats: { alpha: 1 }, microsoft: true, shape: x.shape });
}

/** x · sigmoid(1.702 x) */
export function quickGelu(g: GraphBuilder, x: Value): Value {
  return g.node('QuickGelu', [x], { floats: { alpha: 1.702 }, microsoft: true, shape: x.shape });
}

/** With the error function, as `torch.nn.functional.gelu` does by default. */
export function gelu(g: GraphBuilder, x: Value): Value {
  return g.node('Gelu', [x], { shape: x.shape });
}

/** x · tanh(ln(1 + eˣ)) */
export function mish(g: GraphBuilder, x: Value): Value {
  const softplus = g.node('Softplus', [x], { shape: x.shape });
  return multiply(g, x, g.node('Tanh', [softplus], { shape: x.shape }));
}

export function relu(g: GraphBuilder, x: Value): Value {
  return g.node('Relu', [x], { shape: x.shape });
}

export function activate(g: GraphBuilder, x: Value, activation: Activation): Value {
  switch (activation) {
    case 'silu':
    case 'swish':
      return silu(g, x);
    case 'mish':
      return mish(g, x);
    case 'gelu':
      return gelu(g, x);
    case 'relu':
      return relu(g, x);
  }
}

export function concat(g: GraphBuilder, parts: readonly Value[], axis: number): Value {
  const shape = [...(parts[0]?.shape ?? [])];
  shape[axis] = parts.reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0);
  const inputs = g.inOneLayout(parts);
  return g.node('Concat', inputs, { attributes: { axis: axisInMemory(inputs[0] ?? {}, axis) }, shape });
}

/** `x` in the shape that `like` has when the graph runs. */
export function reshapeLike(g: GraphBuilder, x: Value, like: Value): Value {
  return g.node('Reshape', [x, shapeOf(g, like)], { shape: like.shape, layout: like.layout ?? 'channels-first' });
}

/** The sizes of dimensions `start` … `end` − 1 as a vector of int64. */
function shapeOf(g: GraphBuilder, x: Value, start = 0, end = x.shape.length): Value {
  return g.node('Shape', [x], { attributes: { start, end }, shape: [end - start], type: 'int64' });
}

function dims4(x: Value): [number, number, number, number] {
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape;
  return [batch, channels, height, width];
}

function floatType(x: Value): 'float32' | 'float16' {
  return x.type === 'float16' ? 'float16' : 'float32';
}

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, index) =>
    Math.max(a[index - length + a.length] ?? 1, b[index - length + b.length] ?? 1),
  );
}
