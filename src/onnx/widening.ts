/**
 * Weights that a file has in another type than a graph computes in, once more in float32. ONNX Runtime folds a `Cast` behind each such weight when it
 * opens a graph, and then holds twice the weights. Written into a file beforehand, in pieces, they are mapped like any others
 * (`docs/decisions/weights-in-place.md` has the figures).
 */
import type { TensorPlace } from './weights.ts';

/** A weight that a graph refers to where it lies. */
export interface ExternalWeight {
  readonly place: TensorPlace;
  /** The value with the weight in the compute type. */
  readonly valueName: string;
  /** The nodes that make it out of the stored tensor. */
  readonly converters: readonly string[];
}

/** A place in the file of float32 values. */
interface WidenedTensor {
  readonly from: TensorPlace;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** The plan of a file that `writeWidened` writes. */
export interface WidenedFile {
  /** In the order of the file. */
  readonly tensors: readonly WidenedTensor[];
  readonly bytes: number;
}

export const FLOAT32_BYTES = 4;
/** Every tensor begins at a multiple of this, as in a safetensors file. */
const ALIGNMENT_BYTES = 64;

export function placeInOneFile(places: readonly TensorPlace[]): WidenedFile {
  let bytes = 0;
  const tensors = places.map((from) => {
    const lengthBytes = elementsOf(from) * FLOAT32_BYTES;
    const offsetBytes = bytes;
    bytes += Math.ceil(lengthBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return { from, offsetBytes, lengthBytes };
  });
  return { tensors, bytes };
}

export function elementsOf({ shape }: TensorPlace): number {
  return shape.reduce((product, size) => product * size, 1);
}
