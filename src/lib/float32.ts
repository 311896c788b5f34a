/** Arithmetic as torch and numpy do it, where the last digits decide pixels. */

const f32 = Math.fround;

/** numpy's round: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** torch.linspace in float32: from both ends towards the middle. */
export function torchLinspace(start: number, end: number, count: number): Float32Array {
  const [first, last] = [f32(start), f32(end)];
  const step = f32(f32(last - first) / (count - 1));
  if (count === 1) return Float32Array.of(first);
  return Float32Array.from({ length: count }, (_, index) =>
    index < Math.floor(count / 2) ? first + step * index : last - step * (count - 1 - index),
  );
}

/** numpy.linspace in double. */
export function numpyLinspace(start: number, end: number, count: number): number[] {
  const step = (end - start) / (count - 1);
  return Array.from({ length: count }, (_, index) =>
    index === count - 1 && count > 1 ? end : start + (count === 1 ? 0 : index * step),
  );
}

/** torch.cumprod on the CPU: the product is kept in double and rounded for each result. */
export function cumulatedProduct(factors: Float32Array): Float32Array {
  let product = 1;
  return factors.map((factor) => {
    product *= factor;
    return product;
  });
}

/** numpy.interp over indices: `values` at a fractional position. */
export function interpolate(values: Float32Array, position: number): number {
  const low = Math.min(Math.max(Math.floor(position), 0), values.length - 1);
  const high = Math.min(low + 1, values.length - 1);
  const [a, b] = [values[low] as number, values[high] as number];
  return a + (b - a) * Math.min(Math.max(position - low, 0), 1);
}
