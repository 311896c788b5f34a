/** Makes and reads tensors in the host's memory. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { DeviceTensor, ElementType, HostTensor, Tensors } from './contract.ts';

export function float32(data: Float32Array, shape: readonly number[]): HostTensor {
  return { type: 'float32', data, shape };
}

export function int32(data: Int32Array, shape: readonly number[]): HostTensor {
  return { type: 'int32', data, shape };
}

export function isOnDevice(tensor: HostTensor | DeviceTensor): tensor is DeviceTensor {
  return 'read' in tensor;
}

/** The numbers of a float32 output. @throws `internal` where the network has no such output */
export function floatsOf(tensors: Tensors, name: string): Float32Array {
  const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
  if (tensor !== undefined && !isOnDevice(tensor) && tensor.type === 'float32') return tensor.data;
  throw new Text2ImgError('internal', `the network has no float32 output ${quote(name)}.`);
}

/** A tensor over memory that holds its numbers. */
export function hostTensorOver(buffer: ArrayBuffer, type: ElementType, shape: readonly number[]): HostTensor {
  switch (type) {
    case 'float32':
      return { type, shape, data: new Float32Array(buffer) };
    case 'float16':
      return { type, shape, data: new Float16Array(buffer) };
    case 'int32':
      return { type, shape, data: new Int32Array(buffer) };
    case 'int64':
      return { type, shape, data: new BigInt64Array(buffer) };
    case 'uint8':
      return { type, shape, data: new Uint8Array(buffer) };
  }
}

/** A tensor that never left the host, for runtimes and devices without a memory of their own. */
export class HeldTensor implements DeviceTensor {
  readonly type: ElementType;
  readonly shape: readonly number[];
  #tensor: HostTensor | undefined;

  constructor(tensor: HostTensor) {
    this.type = tensor.type;
    this.shape = tensor.shape;
    this.#tensor = tensor;
  }

  async read(): Promise<HostTensor> {
    if (this.#tensor === undefined) throw new Text2ImgError('internal', 'a tensor was read after it was disposed.');
    return this.#tensor;
  }

  [Symbol.dispose](): void {
    this.#tensor = undefined;
  }
}
