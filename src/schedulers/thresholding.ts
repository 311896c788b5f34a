/**
 * Keeps the numbers of the predicted image within bounds, as `thresholding` and `clip_sample` ask.
 * Source: diffusers schedulers/scheduling_ddim.py, _threshold_sample and step (arXiv 2205.11487, section 2.3).
 */

const f32 = Math.fround;

export interface ThresholdSettings {
  readonly thresholding: boolean;
  readonly dynamic_thresholding_ratio: number;
  readonly sample_max_value: number;
}

export const THRESHOLD_DEFAULTS: ThresholdSettings = {
  thresholding: false,
  dynamic_thresholding_ratio: 0.995,
  sample_max_value: 1,
};

/** @param original of one image; its neighbours in a batch have thresholds of their own @returns `original` itself where nothing is asked for */
export function thresholded(original: Float32Array, settings: ThresholdSettings): Float32Array {
  if (!settings.thresholding) return original;
  const quantile = quantileOf(original.map(Math.abs), settings.dynamic_thresholding_ratio);
  const bound = Math.min(Math.max(quantile, 1), f32(settings.sample_max_value));
  return original.map((value) => Math.min(Math.max(value, -bound), bound) / bound);
}

export function clipped(original: Float32Array, range: number): Float32Array {
  return original.map((value) => Math.min(Math.max(value, -range), range));
}

/** torch.quantile in float32: linear between the two nearest numbers. */
function quantileOf(values: Float32Array, ratio: number): number {
  const sorted = values.toSorted();
  const rank = f32(f32(ratio) * (sorted.length - 1));
  const low = Math.floor(rank);
  const weight = f32(rank - low);
  const [a, b] = [sorted[low] as number, sorted[Math.min(low + 1, sorted.length - 1)] as number];
  // torch.lerp counts from the nearer end.
  return f32(weight < 0.5 ? a + f32(weight * f32(b - a)) : b - f32(f32(b - a) * f32(1 - weight)));
}
