/**
 * Sinusoids of the timestep, in float32, and the MLP on them, in the compute type. Source: diffusers models/embeddings.py, get_timestep_embedding,
 * TimestepEmbedding.
 */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';
import type { Activation } from '../activation.ts';
import { activate, concat, linear, multiply } from './primitives.ts';

export interface TimestepProjectionOptions {
  readonly channels: number;
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
}

const LOG_MAX_PERIOD = Math.fround(Math.log(10_000));

/** @param timestep [1] or [..., 1], float32 @returns [1, channels] or [..., channels], in the compute type */
export function timestepProjection(
  g: GraphBuilder,
  timestep: Value,
  { channels, flipSinToCos, freqShift }: TimestepProjectionOptions,
): Value {
  const half = Math.floor(channels / 2);
  // As torch does it in float32: the logarithm is rounded first, then each product, quotient and power.
  const frequencies = Array.from({ length: half }, (_, index) => {
    const exponent = Math.fround(Math.fround(LOG_MAX_PERIOD * index) / -(half - freqShift));
    return Math.fround(Math.exp(Math.fround(exponent)));
  });
  const angles = multiply(g, timestep, g.constant(frequencies, [1, half], 'float32')); // [..., half]
  const sine = g.node('Sin', [angles], { shape: angles.shape });
  const cosine = g.node('Cos', [angles], { shape: angles.shape });
  const halves = flipSinToCos ? [cosine, sine] : [sine, cosine];
  const joined = concat(g, halves, angles.shape.length - 1);
  // In bfloat16 an angle of 999 would be 1000.
  return g.cast(g.inFloat32(channels % 2 === 0 ? joined : endWithZero(g, joined)), g.graphType);
}

/** An odd number of channels ends with a zero. */
function endWithZero(g: GraphBuilder, x: Value): Value {
  const others = x.shape.slice(0, -1);
  const pads = g.integers([...x.shape, ...others].map(() => 0).concat(1));
  return g.node('Pad', [x, pads], { shape: [...others, (x.shape.at(-1) ?? 0) + 1] });
}

interface TimestepEmbeddingOptions {
  readonly outFeatures: number;
  /** Default: `silu`. */
  readonly activation?: Activation;
}

/** @param x [B, channels] @returns [B, outFeatures] */
export function timestepEmbedding(g: GraphBuilder, x: Value, prefix: string, options: TimestepEmbeddingOptions): Value {
  const { outFeatures, activation = 'silu' } = options;
  // An error of the time would be one of the whole image.
  const layer = { outFeatures, keepsFloat: true } as const;
  const hidden = activate(g, linear(g, x, `${prefix}.linear_1`, layer), activation);
  return linear(g, hidden, `${prefix}.linear_2`, layer);
}
