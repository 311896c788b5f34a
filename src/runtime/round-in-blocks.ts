/** Rounds weights to 8 bits, as `onnx/eight-bit-weights.ts` describes them. */
import { LARGEST, ZERO_POINT } from '../onnx/eight-bit-weights.ts';

interface RoundedBlocks {
  /** Each is `(value − 128) · scale` of its block. */
  readonly values: Uint8Array;
  /** One for each block. A block with a number that is not finite has such a scale, so its products are not finite either, as in float32. */
  readonly scales: Float32Array;
}

/** Symmetric: the largest magnitude of a block is at 127. @param block values that share a scale; it divides their number */
export function roundInBlocks(values: Float32Array, block: number): RoundedBlocks {
  const rounded = new Uint8Array(values.length);
  const scales = new Float32Array(values.length / block);
  for (let index = 0; index < scales.length; index++) {
    const [start, end] = [index * block, (index + 1) * block];
    let largest = 0;
    for (let k = start; k < end; k++) largest = Math.max(largest, Math.abs(values[k] as number));
    scales[index] = largest / LARGEST;
    const inverse = largest > 0 ? LARGEST / largest : 0;
    for (let k = start; k < end; k++) rounded[k] = Math.round((values[k] as number) * inverse) + ZERO_POINT;
  }
  return { values: rounded, scales };
}
