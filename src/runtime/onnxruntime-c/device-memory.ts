/**
 * The memory of one device: copies tensors to it, within it and back. The copying function of ONNX Runtime's C API does not know the CUDA provider of the
 * package. So a graph of `Identity` nodes copies: ONNX Runtime moves each input or output that is bound to another place.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { ELEMENT_TYPES, encodeModel } from '../../onnx/onnx-schema.ts';
import type { HostTensor } from '../contract.ts';
import { isOnDevice } from '../tensors.ts';
import { ELEMENT_NUMBERS, type Handle, MEMORY } from './bindings.ts';
import type { OrtEnvironment } from './environment.ts';
import type { OwnedHandle } from './handle.ts';
import type { OpenSession, Place } from './run.ts';
import { run } from './run-session.ts';
import { makeSessionOptions, type SessionSettings } from './session-options.ts';
import { copyFromHost, DeviceValue } from './values.ts';

export class DeviceMemory implements Place {
  readonly device: string;
  readonly memory: Handle;
  readonly #environment: OrtEnvironment;
  readonly #settings: SessionSettings;
  /** By element types and ranks. */
  readonly #copiers = new Map<string, Promise<OpenSession>>();
  /** Of the first copier, for good: values are freed through it. */
  #allocator: OwnedHandle | undefined;

  constructor(environment: OrtEnvironment, device: string, cudaDevice: number | undefined) {
    this.#environment = environment;
    this.device = device;
    this.#settings = { threads: 1, spin: false, ...cudaSettings(cudaDevice) };
    this.memory = cudaDevice === undefined ? environment.hostMemory : cudaMemory(environment, cudaDevice);
  }

  async read(value: DeviceValue): Promise<HostTensor> {
    // Throws where it was disposed.
    const { address } = value;
    if (this.memory === this.#environment.hostMemory) return copyFromHost(this.#environment, address, value);
    const { y0 } = await run(await this.#copier([value]), { inputs: { x0: value }, keep: [] });
    if (y0 !== undefined && !isOnDevice(y0)) return y0;
    throw notCopied();
  }

  /** A tensor of this memory with the same numbers; the caller disposes it. */
  async copy(tensor: HostTensor | DeviceValue): Promise<DeviceValue> {
    const copier = await this.#copier([tensor]);
    using made = new DisposableStack();
    const into = made.use(this.#allocate(copier, tensor));
    await this.#move(copier, [{ from: tensor, into }]);
    made.move();
    return into;
  }

  /** All in one run, because a run costs more than a copy. Each target has the type and the shape of its tensor. */
  async copyInto(copies: readonly Copy[]): Promise<void> {
    if (copies.length > 0) await this.#move(await this.#copier(copies.map(({ from }) => from)), copies);
  }

  async #move(copier: OpenSession, copies: readonly Copy[]): Promise<void> {
    await run(copier, {
      inputs: Object.fromEntries(copies.map(({ from }, index) => [`x${index}`, from])),
      keep: [],
      into: Object.fromEntries(copies.map(({ into }, index) => [`y${index}`, into])),
    });
  }

  #allocate({ handle }: OpenSession, { type, shape }: CopiedFacts): DeviceValue {
    const { functions } = this.#environment;
    const allocator = (this.#allocator ??= this.#environment.own(
      (box) => functions.createAllocator(handle.address, this.memory, box),
      functions.releaseAllocator,
    ));
    const sizes = BigInt64Array.from(shape, BigInt);
    const value = this.#environment.own(
      (box) => functions.createValue(allocator.address, sizes, sizes.length, ELEMENT_NUMBERS[type], box),
      functions.releaseValue,
    );
    return new DeviceValue(this.device, value, { type, shape }, (tensor) => this.read(tensor));
  }

  async #copier(tensors: readonly CopiedFacts[]): Promise<OpenSession> {
    const key = tensors.map(({ type, shape }) => `${type} ${shape.length}`).join();
    const known = this.#copiers.get(key) ?? this.#openCopier(tensors);
    this.#copiers.set(key, known);
    return await known;
  }

  async #openCopier(tensors: readonly CopiedFacts[]): Promise<OpenSession> {
    const environment = this.#environment;
    const { functions } = environment;
    using options = makeSessionOptions(environment, this.#settings, { entries: {}, isOptimized: true });
    const model = copyGraph(tensors);
    const handle = environment.own(
      (box) => functions.createSessionFromArray(environment.handle, model, model.length, options.address, box),
      functions.releaseSession,
    );
    return {
      environment,
      handle,
      outputs: tensors.map((_, index) => `y${index}`),
      place: this,
      isPooled: this.#settings.cuda !== undefined,
    };
  }
}

type CopiedFacts = Pick<HostTensor, 'type' | 'shape'>;

interface Copy {
  readonly from: HostTensor | DeviceValue;
  readonly into: DeviceValue;
}

function cudaSettings(deviceId: number | undefined): Pick<SessionSettings, 'cuda'> {
  return deviceId === undefined ? {} : { cuda: { deviceId, capture: false, deterministic: false } };
}

function cudaMemory(environment: OrtEnvironment, device: number): Handle {
  const { functions } = environment;
  return environment.own(
    (box) => functions.createMemory('Cuda', MEMORY.arenaAllocator, device, MEMORY.defaultType, box),
    functions.releaseMemory,
  ).address;
}

function copyGraph(tensors: readonly CopiedFacts[]): Uint8Array {
  const port = (name: string, { type, shape }: CopiedFacts) => {
    const dim = shape.map((_, k) => ({ dimParam: `${name}_${k}` }));
    return { name, type: { tensorType: { elemType: ELEMENT_TYPES[type], shape: { dim } } } };
  };
  return encodeModel({
    irVersion: 9,
    producerName: 'text2img',
    opsetImport: [{ domain: '', version: 20 }],
    graph: {
      name: 'copy',
      node: tensors.map((_, k) => ({
        name: `copy${k}`,
        opType: 'Identity',
        domain: '',
        input: [`x${k}`],
        output: [`y${k}`],
        attribute: [],
      })),
      initializer: [],
      input: tensors.map((tensor, k) => port(`x${k}`, tensor)),
      output: tensors.map((tensor, k) => port(`y${k}`, tensor)),
    },
  });
}

function notCopied(): Text2ImgError {
  return new Text2ImgError('internal', 'a tensor was not copied.');
}
