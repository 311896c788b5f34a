/**
 * Weights that a file has in another type or order than a graph wants, once more as it wants them, or in 8 bits. ONNX Runtime folds a `Cast` or a
 * `Transpose` behind each such weight when it opens a graph, and then holds twice the weights. Written into a file beforehand, in pieces, they are
 * mapped like any others (`docs/decisions/weights-in-place.md` has the figures).
 */
import type { TensorPlace } from './weights.ts';

/** A weight that a graph refers to where it lies. */
export interface ExternalWeight {
  readonly place: TensorPlace;
  /** The value with the weight in the compute type. */
  readonly valueName: string;
  readonly dims: readonly number[];
  readonly type: 'float32' | 'float16';
  /** The nodes that make it out of the stored tensor. */
  readonly converters: readonly string[];
  /** Of a convolution's weight whose inputs become its last dimension: [out, in, height, width]. */
  readonly convolution?: readonly number[];
}

interface FilePart {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A place in the written file: of floating-point values, or of 8-bit ones and their scales. */
export interface WidenedTensor extends FilePart, Pick<ExternalWeight, 'convolution'> {
  readonly from: TensorPlace;
  /** Absent: float32. */
  readonly type?: 'float16';
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
const FLOAT16_BYTES = 2;
/** Every tensor begins at a multiple of this, as in a safetensors file. */
const ALIGNMENT_BYTES = 64;

interface WantedTensor extends Pick<ExternalWeight, 'place' | 'convolution'> {
  /** Default: float32. */
  readonly type?: ExternalWeight['type'];
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
  const tensors = wanted.map(({ place: from, block, type, convolution }): WidenedTensor => {
    const elements = elementsOf(from);
    const order = convolution === undefined ? {} : { convolution };
    if (block === undefined && type === 'float16') return { from, type, ...order, ...part(elements * FLOAT16_BYTES) };
    if (block === undefined) return { from, ...order, ...part(elements * FLOAT32_BYTES) };
    return { from, ...part(elements), scales: { ...part((elements / block) * FLOAT32_BYTES), block } };
  });
  return { tensors, bytes };
}

export function elementsOf({ shape }: TensorPlace): number {
  return shape.reduce((product, size) => product * size, 1);
}
