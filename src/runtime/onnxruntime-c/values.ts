/** The project's tensors as values of ONNX Runtime, and back. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { DeviceTensor, ElementType, HostTensor } from '../contract.ts';
import { hostTensorOver } from '../tensors.ts';
import { ELEMENT_NUMBERS, type Handle } from './bindings.ts';
import type { OrtEnvironment } from './environment.ts';
import type { OwnedHandle } from './handle.ts';

/** A value over memory of JavaScript, which must stay referenced: nothing else keeps it from being collected. */
export interface LentValue extends Disposable {
  readonly handle: OwnedHandle;
  readonly memory: readonly ArrayBufferView[];
}

/** The same memory as an input of ONNX Runtime. @throws `inference_failed` */
export function lend(environment: OrtEnvironment, { type, shape, data }: HostTensor): LentValue {
  const { functions, hostMemory } = environment;
  // An empty array has no address, and koffi knows no Float16Array.
  const bytes = data.length === 0 ? new Uint8Array(1) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const sizes = BigInt64Array.from(shape, BigInt);
  const handle = environment.own(
    (box) =>
      functions.createValueOver(hostMemory, bytes, data.byteLength, sizes, sizes.length, ELEMENT_NUMBERS[type], box),
    functions.releaseValue,
  );
  return { handle, memory: [bytes, sizes], [Symbol.dispose]: () => handle[Symbol.dispose]() };
}

export interface ValueFacts {
  readonly type: ElementType;
  readonly shape: readonly number[];
}

/** @throws `inference_failed`, `internal` for a type that the project does not use */
export function factsOf(environment: OrtEnvironment, value: Handle): ValueFacts {
  const { functions } = environment;
  using info = environment.own((box) => functions.typeAndShape(value, box), functions.releaseTypeAndShape);
  const number: [number] = [0];
  environment.check(functions.elementType(info.address, number));
  const rank: [number] = [0];
  environment.check(functions.rank(info.address, rank));
  const sizes = new BigInt64Array(rank[0]);
  if (rank[0] > 0) environment.check(functions.dimensions(info.address, sizes, rank[0]));
  return { type: typeOf(number[0]), shape: Array.from(sizes, Number) };
}

/** A copy of a value that lies in the host's memory. */
export function copyFromHost(environment: OrtEnvironment, value: Handle, { type, shape }: ValueFacts): HostTensor {
  const bytes = shape.reduce((product, size) => product * size, ELEMENT_BYTES[type]);
  // A value without elements may have no memory.
  if (bytes === 0) return hostTensorOver(new ArrayBuffer(), type, shape);
  const start = environment.addressFrom((box) => environment.functions.valueData(value, box));
  if (start === null) throw new Text2ImgError('inference_failed', 'an output of a network has no memory.');
  return hostTensorOver(environment.functions.bytesAt(start, bytes), type, shape);
}

/** A value in the memory of a device, which may be the host's. */
export class DeviceValue implements DeviceTensor {
  readonly device: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly #handle: OwnedHandle;
  readonly #read: (value: DeviceValue) => Promise<HostTensor>;

  constructor(
    device: string,
    handle: OwnedHandle,
    { type, shape }: ValueFacts,
    read: (value: DeviceValue) => Promise<HostTensor>,
  ) {
    this.device = device;
    this.type = type;
    this.shape = shape;
    this.#handle = handle;
    this.#read = read;
  }

  /** @throws `internal` after it was disposed */
  get address(): Handle {
    return this.#handle.address;
  }

  /** @throws `internal` after it was disposed */
  hold(): ReturnType<OwnedHandle['hold']> {
    return this.#handle.hold();
  }

  async read(): Promise<HostTensor> {
    return await this.#read(this);
  }

  [Symbol.dispose](): void {
    this.#handle[Symbol.dispose]();
  }
}

const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = { float32: 4, float16: 2, int32: 4, int64: 8, uint8: 1 };

function typeOf(number: number): ElementType {
  for (const [type, known] of Object.entries(ELEMENT_NUMBERS)) if (known === number) return type as ElementType;
  throw new Text2ImgError(
    'internal',
    `an output of a network has ONNX's element type ${number}; allowed are ${Object.keys(ELEMENT_NUMBERS).join(', ')}.`,
  );
}
