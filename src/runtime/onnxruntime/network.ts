/** A network in ONNX Runtime: one session, its runs in order, and its rest. */
import { availableParallelism } from 'node:os';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { BuiltGraph } from '../../onnx/graph.ts';
import { openThroughCache } from '../compile-cache.ts';
import type { HostTensor, HostTensors, Network, OpenOptions, Tensors } from '../contract.ts';
import { HeldTensor, isOnDevice } from '../tensors.ts';
import { compiledForm } from './compiled-form.ts';
import { providerOf } from './execution-provider.ts';
import { createSession, type OnnxRuntimeSession } from './session.ts';

interface RunOptions {
  readonly keep?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class OnnxRuntimeNetwork implements Network {
  readonly #open: () => Promise<OnnxRuntimeSession>;
  #session: OnnxRuntimeSession | undefined;
  #isClosed = false;
  /** Settled when everything that was asked for so far is done. A session must not be closed below a run. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(open: () => Promise<OnnxRuntimeSession>, session: OnnxRuntimeSession) {
    this.#open = open;
    this.#session = session;
  }

  /** @throws `device_unavailable`, `inference_failed`, `engine_out_of_memory` */
  static async open(graph: BuiltGraph, options: OpenOptions): Promise<OnnxRuntimeNetwork> {
    const open = opener(graph, options);
    return new OnnxRuntimeNetwork(open, await open());
  }

  run(
    inputs: Tensors,
    options?: { readonly keep?: undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<HostTensors>;
  run(
    inputs: Tensors,
    options: { readonly keep: readonly string[]; readonly signal?: AbortSignal | undefined },
  ): Promise<Tensors>;
  /** The Node binding cannot stop a run, and blocks this thread while it runs: `signal` is looked at before and after. */
  run(inputs: Tensors, { keep = [], signal }: RunOptions = {}): Promise<Tensors> {
    return this.#inOrder(async () => {
      refuseCancelled(signal);
      const session = await this.#awake();
      const outputs = await session.run(await onHost(inputs));
      refuseCancelled(signal);
      return keeping(outputs, keep);
    });
  }

  rest(): Promise<void> {
    return this.#inOrder(() => this.#release());
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    return this.#inOrder(() => this.#release());
  }

  async #awake(): Promise<OnnxRuntimeSession> {
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

function opener(graph: BuiltGraph, options: OpenOptions): () => Promise<OnnxRuntimeSession> {
  const settings = {
    provider: providerOf(options.device),
    // ONNX Runtime's own choice is one thread per physical core, which leaves half of a small virtual machine idle.
    threads: options.threads === 0 ? availableParallelism() : options.threads,
    spin: options.use === 'every-step',
  };
  const { cache } = options;
  // Only the CPU provider's compiled form can be loaded again.
  if (cache === undefined || settings.provider.name !== 'cpu') return () => createSession(graph, settings);
  return () => openThroughCache(graph, compiledForm(graph, settings), cache);
}

function refuseCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new Text2ImgError('cancelled', 'the run of a network was cancelled.');
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
