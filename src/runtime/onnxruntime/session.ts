/** Runs a graph with ONNX Runtime: the only place that makes its sessions. */
import './no-telemetry.ts';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { type BuiltGraph, requireWritten } from '../../onnx/built-graph.ts';
import type { ElementType, HostTensor, HostTensors } from '../contract.ts';
import type { ExecutionProvider } from './execution-provider.ts';
import type { Session } from '../session-network.ts';
import { entriesForSaving, weightsEntry } from './session-entries.ts';
import { runtimeError } from './runtime-error.ts';

export interface SessionSettings {
  readonly provider: ExecutionProvider;
  /** 0: ONNX Runtime's choice. */
  readonly threads: number;
  /**
   * Threads wait for the next piece of work by spinning. Faster for the network that runs all the time; each other session would burn
   * the same cores while it idles.
   */
  readonly spin: boolean;
}

/** @throws all of `runtimeError` */
export async function createSession(graph: BuiltGraph, settings: SessionSettings): Promise<OnnxRuntimeSession> {
  requireWritten(graph);
  const options = sessionOptions(settings, weightsEntry(graph));
  return new OnnxRuntimeSession(await translateErrors(() => InferenceSession.create(graph.model, options)));
}

/** Writes the optimised graph, weights in the form the kernels want, so that `loadOptimizedSession` starts in a fraction of the time. */
export async function saveOptimized(graph: BuiltGraph, settings: SessionSettings, modelPath: string): Promise<void> {
  requireWritten(graph);
  const options = sessionOptions(settings, entriesForSaving(graph, modelPath));
  const session = await translateErrors(() =>
    InferenceSession.create(graph.model, { ...options, optimizedModelFilePath: modelPath }),
  );
  await session.release();
}

/** Loads what `saveOptimized` wrote; its weights are mapped, and shared between processes. */
export async function loadOptimizedSession(modelPath: string, settings: SessionSettings): Promise<OnnxRuntimeSession> {
  const options = sessionOptions(settings, {});
  return new OnnxRuntimeSession(
    await translateErrors(() => InferenceSession.create(modelPath, { ...options, graphOptimizationLevel: 'disabled' })),
  );
}

function sessionOptions(
  { provider, threads, spin }: SessionSettings,
  entries: Readonly<Record<string, string>>,
): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider.name === 'cuda' ? { name: 'cuda', deviceId: provider.deviceId } : provider.name],
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // With a plan of the first run's memory, the second run takes a block of its own. The demo's autoencoder at 512×512 held 417 MB instead of 249, and
    // was no faster. Without the arena, freed pieces stay in glibc's heap: 646 MB.
    enableMemPattern: false,
    ...(threads === 0 ? {} : { intraOpNumThreads: threads }),
    extra: { session: { ...entries, intra_op: { allow_spinning: spin ? '1' : '0' } } },
  };
}

/** A session with the project's tensors. */
export class OnnxRuntimeSession implements Session {
  readonly #session: InferenceSession;

  constructor(session: InferenceSession) {
    this.#session = session;
  }

  /** Blocks this thread until it is done: the Node binding cannot stop a run. @throws all of `runtimeError` */
  async run(inputs: HostTensors, _signal?: AbortSignal, unread: readonly string[] = []): Promise<HostTensors> {
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, toOrt(tensor)]));
    // From a GPU each one would be copied.
    const wanted = this.#session.outputNames.filter((name) => !unread.includes(name));
    const results = await translateErrors(() => this.#session.run(feeds, wanted));
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(name, tensor)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release();
  }
}

const ELEMENTS = ['float32', 'float16', 'int32', 'int64', 'uint8'] as const satisfies readonly ElementType[];

function toOrt({ type, data, shape }: HostTensor): OrtTensor {
  if (type !== 'float16') return new OrtTensor(type, data, shape);
  // The binding gives out Float16Array, but sees no bytes in one that it is given (onnxruntime-node 1.30: "expected 8, got 0"). It reads the same
  // numbers where the tensor holds them as Uint16Array; the constructor would make a Float16Array of it.
  const bits = new Uint16Array(data.buffer, data.byteOffset, data.length);
  return Object.assign(new OrtTensor('float16', bits, shape), { cpuData: bits });
}

function fromOrt(name: string, { type, data, dims }: OrtTensor): HostTensor {
  if (!(ELEMENTS as readonly string[]).includes(type))
    throw new Text2ImgError(
      'internal',
      `the output "${name}" of a network has the type ${type}; allowed are ${ELEMENTS.join(', ')}.`,
    );
  // The binding's array for a type is the one of the contract: test/runtime runs each type through.
  return { type, data, shape: dims } as HostTensor;
}

async function translateErrors<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw runtimeError(messageOf(error), { cause: error });
  }
}
