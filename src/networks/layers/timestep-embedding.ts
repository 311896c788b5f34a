/** Sinusoids of the timestep and the MLP on them, in float32. Source: diffusers models/embeddings.py, get_timestep_embedding, TimestepEmbedding. */
import type { GraphBuilder, Value } from '../../onnx/graph.ts';
import { concat, linear, multiply, silu } from './primitives.ts';

export interface TimestepProjectionOptions {
  readonly channels: number;
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
}

const LOG_MAX_PERIOD = Math.fround(Math.log(10_000));

/** @param timestep [1], float32 @returns [1, channels] in the compute type */
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
  const angles = multiply(g, timestep, g.constant(frequencies, [1, half], 'float32')); // [1, half]
  const sine = g.node('Sin', [angles], { shape: angles.shape });
  const cosine = g.node('Cos', [angles], { shape: angles.shape });
  const halves = flipSinToCos ? [cosine, sine] : [sine, cosine];
  // An odd number of channels ends with a zero.
  const rest = channels % 2 === 0 ? [] : [g.constant([0], [1, 1], 'float32')];
  return g.cast(concat(g, [...halves, ...rest], 1), g.computeType);
}

/** @param x [1, channels] @returns [1, outFeatures] */
export function timestepEmbedding(g: GraphBuilder, x: Value, prefix: string, outFeatures: number): Value {
  const hidden = silu(g, linear(g, x, `${prefix}.linear_1`, { outFeatures }));
  return linear(g, hidden, `${prefix}.linear_2`, { outFeatures });
}
