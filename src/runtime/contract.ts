/**
 * What the project asks of a runtime that executes ONNX graphs: tensors in by name, tensors out by name. No type of ONNX Runtime
 * occurs here, because a second CPU runtime is to keep the same contract.
 */

/** What runs a network, and on which of its devices. */
export type ExecutionProvider =
  | { readonly name: 'cpu' }
  | { readonly name: 'webgpu' }
  | { readonly name: 'cuda'; readonly deviceId: number };

export type TensorData = Float32Array | Int32Array | BigInt64Array;

export interface Tensor {
  readonly data: TensorData;
  readonly shape: readonly number[];
}

export interface Session extends AsyncDisposable {
  /** Blocks this thread's event loop until it is done; cannot be aborted. @throws `inference_failed`, `engine_out_of_memory` */
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
}
