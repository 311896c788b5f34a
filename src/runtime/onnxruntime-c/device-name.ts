/** The devices of ONNX Runtime's C API here: the CPU, and NVIDIA GPUs. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';

const CUDA = /^cuda:(\d{1,3})$/;

export function isDevice(device: string): boolean {
  return device === 'cpu' || CUDA.test(device);
}

/** The number of a CUDA device; undefined: the CPU. @throws `device_unavailable` for any other */
export function cudaDeviceOf(device: string): number | undefined {
  if (device === 'cpu') return undefined;
  const cuda = CUDA.exec(device);
  if (cuda !== null) return Number(cuda[1]);
  throw new Text2ImgError(
    'device_unavailable',
    `ONNX Runtime’s C API has no device ${quote(device)} here; it has cpu and cuda:N.`,
  );
}
