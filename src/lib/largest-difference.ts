/** How far two results are apart. */

/** The largest difference as a share of the largest number that is expected. NaN where one of them is NaN. */
export function largestDifference(actual: Float32Array, expected: Float32Array): number {
  let [largest, scale] = [0, 0];
  for (const [index, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs((actual[index] as number) - value));
    scale = Math.max(scale, Math.abs(value));
  }
  return largest / scale;
}
