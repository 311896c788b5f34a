/**
 * ONNX Runtime through its C API, behind the contract: the same library as the Node binding's. Its runs leave the event loop free and can be ended in
 * their midst. Tensors may stay on the device. It sets options that the binding cannot. Importing this file loads no native library.
 */
import type { HostTensor, Runtime } from '../contract.ts';
import { ONNX_RUNTIME_VERSION } from '../onnxruntime/cuda/cuda-wheels.ts';
import { HeldTensor } from '../tensors.ts';
import { cudaDeviceOf } from './device-name.ts';
import { formOf, tryDevices } from './devices.ts';

/** A worker meets few sizes of images, each with few sizes of batches. */
const MOST_CAPTURES = 8;

export interface OnnxRuntimeCOptions {
  /** Runs that a network records on CUDA, one for each shape; 0: none. */
  readonly mostCaptures?: number;
  /** Of the CUDA provider; they replace those of `cudaOptionsFor`. */
  readonly cudaOptions?: Readonly<Record<string, string>>;
}

export function onnxRuntimeC({ mostCaptures = MOST_CAPTURES, cudaOptions }: OnnxRuntimeCOptions = {}): Runtime {
  return {
    name: 'onnxruntime-c',
    sharesCachedWeights: true,
    version: () => ONNX_RUNTIME_VERSION,
    devices: tryDevices,
    graphForm: formOf,
    open: async (graph, options) => {
      cudaDeviceOf(options.device);
      const { openNetwork } = await import('./network.ts');
      return await openNetwork(graph, { ...options, mostCaptures, cudaOptions });
    },
    upload: async (tensor: HostTensor, device: string) => {
      if (cudaDeviceOf(device) === undefined) return new HeldTensor(tensor);
      const { upload } = await import('./network.ts');
      return await upload(tensor, device);
    },
  };
}
