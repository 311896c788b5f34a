/**
 * A component's weights as they lie in its safetensors files: names and places, no copies. The graph builders ask for tensors
 * by name and point ONNX initialisers at the place.
 */

export type SafetensorsDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

export interface TensorPlace {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Real path: symlinks are resolved, because ONNX Runtime refuses those that leave its folder. */
  readonly file: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface Weights {
  /** Names the component for error messages: `unet`. */
  readonly component: string;
  names(): Iterable<string>;
  has(name: string): boolean;
  /** @param expectedShape what the caller will hold the place against; a file needs it for nothing @throws `missing_tensor` */
  place(name: string, expectedShape?: readonly number[]): TensorPlace;
  /** The bytes of a vector (norms and biases); undefined for anything larger, which stays in its file. */
  smallTensor(name: string): Uint8Array | undefined;
}
