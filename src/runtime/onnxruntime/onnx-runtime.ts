/** ONNX Runtime behind the contract. The native library is loaded when the first network is opened, never by importing this file. */
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { HostTensor, Network, OpenOptions, Runtime } from '../contract.ts';
import { HeldTensor } from '../tensors.ts';
import { deviceMemory, formOf, tryDevices } from './devices.ts';
import { providerOf } from './execution-provider.ts';
import { onnxRuntimeVersion } from './version.ts';

export const ONNX_RUNTIME: Runtime = {
  name: 'onnxruntime',
  sharesCachedWeights: true,
  version: onnxRuntimeVersion,
  devices: tryDevices,
  graphForm: formOf,
  memory: deviceMemory,
  open: openNetwork,
  upload: async (tensor: HostTensor, device: string) => {
    providerOf(device);
    // The Node binding has no device memory outside WebGPU, so tensors stay where they are.
    return new HeldTensor(tensor);
  },
};

async function openNetwork(graph: BuiltGraph, options: OpenOptions): Promise<Network> {
  const network = await import('./network.ts');
  return await network.openNetwork(graph, options);
}
