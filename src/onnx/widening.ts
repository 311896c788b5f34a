/**
 * Weights that a file has in another type than a graph computes in, once more in float32 or in 8 bits. ONNX Runtime folds a `Cast` behind each such
 * weight when it opens a graph, and then holds twice the weights. Written into a file beforehand, in pieces, they are mapped like any others
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

interface FilePart {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A place in the written file: of float32 values, or of 8-bit ones and their scales. */
export interface WidenedTensor extends FilePart {
  readonly from: TensorPlace;
  /** Of 8-bit values, in float32: one for each block of neighbouring values. Absent: the values are in float32. */
  readonly scales?: FilePart & { readonly block: number };
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

interface WantedTensor {
  readonly place: TensorPlace;
  /** Values that share a scale in 8 bits; it divides their number. Absent: in float32. */
  readonly block?: number | undefined;
}

export function placeInOneFile(wanted: readonly WantedTensor[]): WidenedFile {
  let bytes = 0;
  const part = (lengthBytes: number): FilePart => {
    const offsetBytes = bytes;
    bytes += Math.ceil(lengthBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return { offsetBytes, lengthBytes };
  };
  const tensors = wanted.map(({ place: from, block }): WidenedTensor => {
    const elements = elementsOf(from);
    if (block === undefined) return { from, ...part(elements * FLOAT32_BYTES) };
    return { from, ...part(elements), scales: { ...part((elements / block) * FLOAT32_BYTES), block } };
  });
  return { tensors, bytes };
}

export function elementsOf({ shape }: TensorPlace): number {
  return shape.reduce((product, size) => product * size, 1);
}
