/**
 * A component's weights as they lie in its safetensors files: names and places, no copies. The graph builders ask for tensors
 * by name and point ONNX initialisers at the place.
 */

/**
 * Every type of the format with the bits of one number. Source: safetensors/src/tensor.rs of the safetensors project, `Dtype` and `bitsize`.
 * A file may have tensors of all of them; which ones a network can use is the graph's business.
 */
export const SAFETENSORS_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;
export type SafetensorsDtype = keyof typeof SAFETENSORS_BITS;

/** Vectors up to this size stand in the graph itself: many tiny mappings cost more than a copy. */
export const SMALL_TENSOR_BYTES = 1024;

export interface TensorPlace {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Real path: symlinks are resolved, because ONNX Runtime refuses those that leave its folder. */
  readonly file: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Its name in the file, where that is another than the graph's. */
  readonly storedName?: string;
  /** The weight is the stored value times this: one number, or one for each of the stored rows. */
  readonly scale?: readonly number[];
  /** The file has the matrix the other way round than the graph asks for it. */
  readonly transposed?: true;
}

export interface Weights {
  /** Names the component for error messages: `unet`. */
  readonly component: string;
  names(): Iterable<string>;
  has(name: string): boolean;
  /** @param expectedShape the shape that the caller will compare with the place; weights in files ignore it @throws `missing_tensor` */
  place(name: string, expectedShape?: readonly number[]): TensorPlace;
  /** The bytes of a small vector (a norm, a bias); undefined for anything larger, which stays in its file. */
  smallTensor(name: string): Uint8Array | undefined;
}
