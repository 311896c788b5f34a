/** ONNX Runtime's words for the devices. No other folder uses them. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';

export type ExecutionProvider =
  | { readonly name: 'cpu' }
  | { readonly name: 'webgpu' }
  | { readonly name: 'cuda'; readonly deviceId: number };

/** @throws `device_unavailable` */
export function providerOf(device: string): ExecutionProvider {
  if (device === 'cpu' || device === 'webgpu') return { name: device };
  const cuda = /^cuda:(\d{1,3})$/.exec(device);
  if (cuda !== null) return { name: 'cuda', deviceId: Number(cuda[1]) };
  throw new Text2ImgError(
    'device_unavailable',
    `ONNX Runtime has no device ${quote(device)}; it has cpu, cuda:N and webgpu.`,
  );
}
