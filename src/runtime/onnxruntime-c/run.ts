/** Runs a session of ONNX Runtime once, its inputs and outputs bound to places in memory. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { HostTensor, Tensors } from '../contract.ts';
import { isOnDevice } from '../tensors.ts';
import type { Handle } from './bindings.ts';
import type { OrtEnvironment } from './environment.ts';
import { OwnedHandle } from './handle.ts';
import { copyFromHost, DeviceValue, factsOf, lend } from './values.ts';

/** The memory of a device. */
export interface Place {
  readonly device: string;
  /** An `OrtMemoryInfo`. */
  readonly memory: Handle;
  /** Copies a value of this place to the host. */
  read(value: DeviceValue): Promise<HostTensor>;
}

export interface OpenSession {
  readonly environment: OrtEnvironment;
  readonly handle: OwnedHandle;
  /** Names. */
  readonly outputs: readonly string[];
  readonly place: Place;
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

/** @throws `cancelled`, `inference_failed`, `engine_out_of_memory` */
export async function runBound(session: OpenSession, request: RunRequest): Promise<Tensors> {
  const { environment, handle, place } = session;
  const { functions } = environment;
  const { keep, into = {} } = request;
  // It also keeps the inputs' memory until the run has ended.
  using scope = new DisposableStack();
  const binding = scope.use(
    environment.own((box) => functions.createBinding(handle.address, box), functions.releaseBinding),
  );
  for (const [name, tensor] of Object.entries(request.inputs)) {
    const value = await addressFor(session, tensor, scope);
    environment.check(functions.bindInput(binding.address, name, value));
  }
  for (const name of boundNames(session, request)) {
    const target = Object.hasOwn(into, name) ? into[name] : undefined;
    const memory = keep.includes(name) ? place.memory : environment.hostMemory;
    environment.check(
      target === undefined
        ? functions.bindOutputToDevice(binding.address, name, memory)
        : functions.bindOutput(binding.address, name, target.address),
    );
  }
  await runToEnd(environment, request, (options) =>
    functions.runWithBinding.later(handle.address, options, binding.address),
  );
  return takeOutputs(session, binding, request);
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

/** In their order. One that is not bound is not copied. */
function boundNames({ outputs }: OpenSession, { unread = [] }: RunRequest): readonly string[] {
  return outputs.filter((name) => !unread.includes(name));
}

function takeOutputs(session: OpenSession, binding: OwnedHandle, request: RunRequest): Tensors {
  const { environment, place } = session;
  const { keep, into = {} } = request;
  const values = boundValues(environment, binding);
  const results: Record<string, Tensors[string]> = {};
  using kept = new DisposableStack();
  try {
    for (const [index, name] of boundNames(session, request).entries()) {
      const value = values[index];
      if (value === undefined || Object.hasOwn(into, name)) continue;
      const facts = factsOf(environment, value.address);
      if (keep.includes(name)) {
        results[name] = kept.use(new DeviceValue(place.device, value, facts, (tensor) => place.read(tensor)));
        values[index] = undefined;
      } else results[name] = copyFromHost(environment, value.address, facts);
    }
    kept.move();
    return results;
  } finally {
    for (const value of values) value?.[Symbol.dispose]();
  }
}

function boundValues(environment: OrtEnvironment, binding: OwnedHandle): (OwnedHandle | undefined)[] {
  const { functions, allocator } = environment;
  const count: [number] = [0];
  const array = environment.addressFrom((box) => functions.boundOutputs(binding.address, allocator, box, count));
  if (array === null) return [];
  const values = functions.addressesAt(array, count[0]).map((value) => new OwnedHandle(value, functions.releaseValue));
  environment.check(functions.freeWith(allocator, array));
  return values;
}
