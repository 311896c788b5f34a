/** A network over a runtime's session: its runs in order, its rest, and its end. A runtime brings the session. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { GraphPorts } from '../onnx/graph-ports.ts';
import type { HostTensor, HostTensors, Network, Tensors } from './contract.ts';
import { HeldTensor, isOnDevice } from './tensors.ts';

/** An open graph. Its owner sees to it that nothing runs while it is closed, and that its runs do not overlap. */
export interface Session extends AsyncDisposable {
  /**
   * @param signal may end the run before its time, with `cancelled` @param unread outputs that nobody needs
   * @throws `inference_failed`, `engine_out_of_memory`, `cancelled`
   */
  run(inputs: HostTensors, signal?: AbortSignal, unread?: readonly string[]): Promise<HostTensors>;
  /**
   * As `run`, with tensors of the device as inputs and as the outputs that are kept. Absent: its tensors are the host's anyway.
   * @throws `internal` for an output that it does not have
   */
  runKeeping?(inputs: Tensors, options: KeepingOptions): Promise<Tensors>;
}

export interface KeepingOptions {
  readonly keep: readonly string[];
  readonly unread?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface RunOptions {
  readonly keep?: readonly string[] | undefined;
  readonly unread?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class SessionNetwork implements Network {
  readonly #open: () => Promise<Session>;
  #session: Session | undefined;
  #isClosed = false;
  /** Settled when everything that was asked for so far is done. A session must not be closed below a run. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(open: () => Promise<Session>, session: Session) {
    this.#open = open;
    this.#session = session;
  }

  /** @param open is called again after a rest @throws what it throws */
  static async open(open: () => Promise<Session>): Promise<SessionNetwork> {
    return new SessionNetwork(open, await open());
  }

  run(
    inputs: Tensors,
    options?: {
      readonly keep?: undefined;
      readonly unread?: readonly string[] | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<HostTensors>;
  run(
    inputs: Tensors,
    options: {
      readonly keep: readonly string[];
      readonly unread?: readonly string[] | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Tensors>;
  run(inputs: Tensors, { keep = [], unread, signal }: RunOptions = {}): Promise<Tensors> {
    return this.#inOrder(async () => {
      refuseCancelled(signal);
      const session = await this.#awake();
      const outputs = await runIn(session, inputs, { keep, unread, signal });
      if (signal?.aborted === true) disposeKept(outputs);
      refuseCancelled(signal);
      return outputs;
    });
  }

  rest(): Promise<void> {
    return this.#inOrder(() => this.#release());
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    return this.#inOrder(() => this.#release());
  }

  async #awake(): Promise<Session> {
    if (this.#isClosed) throw new Text2ImgError('internal', 'a network was run after it was closed.');
    return (this.#session ??= await this.#open());
  }

  async #release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.[Symbol.asyncDispose]();
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function refuseCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new Text2ImgError('cancelled', 'the run of a network was cancelled.');
}

async function runIn(session: Session, inputs: Tensors, options: KeepingOptions): Promise<Tensors> {
  const { keep, unread, signal } = options;
  if (session.runKeeping !== undefined) return await session.runKeeping(inputs, options);
  return keeping(await session.run(await onHost(inputs), signal, unread), keep);
}

function disposeKept(outputs: Tensors): void {
  for (const tensor of Object.values(outputs)) if (isOnDevice(tensor)) tensor[Symbol.dispose]();
}

/**
 * For runtimes that take what is missing as zeros, or run without it until a node needs it.
 * @throws `inference_failed` where an input is missing, unknown or of another type
 */
export function checkInputs(ports: GraphPorts['inputs'], inputs: Tensors): void {
  for (const name of Object.keys(inputs))
    if (!ports.some((port) => port.name === name))
      throw new Text2ImgError('inference_failed', `the network has no input ${quote(name)}.`);
  for (const { name, type } of ports) {
    const tensor = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    if (tensor === undefined) throw new Text2ImgError('inference_failed', `the input ${quote(name)} is missing.`);
    if (tensor.type !== type)
      throw new Text2ImgError('inference_failed', `the input ${quote(name)} is ${tensor.type}; it must be ${type}.`);
  }
}

async function onHost(inputs: Tensors): Promise<HostTensors> {
  const host: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(inputs)) host[name] = isOnDevice(tensor) ? await tensor.read() : tensor;
  return host;
}

function keeping(outputs: HostTensors, keep: readonly string[]): Tensors {
  if (keep.length === 0) return outputs;
  const kept: Record<string, HeldTensor> = {};
  for (const name of keep) {
    const output = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
    if (output === undefined) throw new Text2ImgError('internal', `the network has no output ${quote(name)} to keep.`);
    kept[name] = new HeldTensor(output);
  }
  return { ...outputs, ...kept };
}
