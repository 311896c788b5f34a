/** OpenVINO behind the contract, on the CPU. The native library is loaded when the first network is opened, never by importing this file. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { HostTensor, Runtime } from '../contract.ts';
import { HeldTensor } from '../tensors.ts';
import { tryDevices } from './devices.ts';
import { OPENVINO_VERSION } from './release.ts';

/** @param libraryFolder that `setup openvino` filled; looked at when a network is opened */
export function openvinoRuntime(libraryFolder: string): Runtime {
  return {
    name: 'openvino',
    version: () => OPENVINO_VERSION,
    devices: ({ only, environment } = {}) => tryDevices(libraryFolder, only, environment),
    open: async (graph, options) => {
      checkDevice(options.device);
      const { openNetwork } = await import('./network.ts');
      return await openNetwork(libraryFolder, graph, options);
    },
    upload: async (tensor: HostTensor, device: string) => {
      checkDevice(device);
      // OpenVINO reads the host's memory in place.
      return new HeldTensor(tensor);
    },
  };
}

function checkDevice(device: string): void {
  if (device === 'cpu') return;
  throw new Text2ImgError('device_unavailable', `OpenVINO has no device ${quote(device)} here; it has cpu.`);
}
