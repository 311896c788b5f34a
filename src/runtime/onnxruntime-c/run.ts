/** A session of ONNX Runtime that is open, what one run of it is asked, and what every kind of run does. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { HostTensor, Tensors } from '../contract.ts';
import { isOnDevice } from '../tensors.ts';
import type { Handle } from './bindings.ts';
import type { OrtEnvironment } from './environment.ts';
import type { OwnedHandle } from './handle.ts';
import { DeviceValue, lend } from './values.ts';

/** The memory of a device. */
export interface Place {
  readonly device: string;
  /** An `OrtMemoryInfo`. */
  readonly memory: Handle;
  /** Copies a value of this place to the host. */
  read(value: DeviceValue): Promise<HostTensor>;
  /** Copies a tensor to this place. The caller disposes it. */
  copy(tensor: HostTensor): Promise<DeviceValue>;
}

export interface OpenSession {
  readonly environment: OrtEnvironment;
  readonly handle: OwnedHandle;
  /** Names. */
  readonly outputs: readonly string[];
  readonly place: Place;
  /** Its runs need one thread, always the same: `pooled-run.ts`. */
  readonly isPooled: boolean;
}

export interface RunRequest {
  readonly inputs: Tensors;
  /** Outputs to leave on the device. */
  readonly keep: readonly string[];
  /** Outputs that are not among the results. */
  readonly unread?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Outputs that go into values which are there. They are not among the results. */
  readonly into?: Readonly<Record<string, DeviceValue>>;
  /** Of the run's options. */
  readonly entries?: Readonly<Record<string, string>>;
}

/** In their order. One that is not asked for is not copied. */
export function readOutputs({ outputs }: OpenSession, { unread = [] }: Pick<RunRequest, 'unread'>): readonly string[] {
  return outputs.filter((name) => !unread.includes(name));
}

/** Of a value with the tensor's numbers, which stays until the scope ends. */
export async function addressFor(
  { environment, place }: OpenSession,
  tensor: Tensors[string],
  scope: DisposableStack,
): Promise<Handle> {
  if (tensor instanceof DeviceValue && tensor.device === place.device) return scope.use(tensor.hold()).address;
  const host = isOnDevice(tensor) ? await tensor.read() : tensor;
  return scope.use(lend(environment, host)).handle.address;
}

/** Makes the run's options, starts the run with them, and ends it in its midst when the signal says so. */
export async function runToEnd(
  environment: OrtEnvironment,
  { signal, entries = {} }: Pick<RunRequest, 'signal' | 'entries'>,
  start: (options: Handle) => Promise<Handle | null>,
): Promise<void> {
  const { functions } = environment;
  using options = environment.own((box) => functions.createRunOptions(box), functions.releaseRunOptions);
  for (const [key, value] of Object.entries(entries))
    environment.check(functions.addRunEntry(options.address, key, value));
  const stop = (): void => environment.check(functions.terminate(options.address));
  signal?.addEventListener('abort', stop);
  try {
    if (signal?.aborted === true) stop();
    const status = await start(options.address);
    if (status !== null && signal?.aborted === true) {
      functions.releaseStatus(status);
      throw new Text2ImgError('cancelled', 'the run of a network was cancelled.');
    }
    environment.check(status);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
