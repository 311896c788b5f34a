/** Runs a graph with ONNX Runtime: the only place that makes its sessions. */
import './no-telemetry.ts';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { memoryRefusal } from '../../lib/memory-errors.ts';
import type { BuiltGraph } from '../../onnx/graph.ts';
import type { ExecutionProvider, Session, Tensor, TensorData } from '../contract.ts';

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

/** @throws `inference_failed`, `engine_out_of_memory` */
export async function createSession(graph: BuiltGraph, settings: SessionSettings): Promise<Session> {
  const options = sessionOptions(settings, { model_external_initializers_file_folder_path: graph.weightsFolder });
  return new OnnxRuntimeSession(await translateErrors(() => InferenceSession.create(graph.model, options)));
}

/**
 * Tensors of fewer bytes stay in the optimised graph, and so must every constant of the graph itself: ONNX Runtime 1.30 writes the mask of an
 * attention as prepacked weights, and with some sizes (the demo's text encoder, not CLIP-L) ends with a segmentation fault when it runs what it
 * then reads (`test/onnx/compile-cache.test.ts`).
 */
const MIN_MAPPED_BYTES = 1024;

/** Writes the optimised graph, weights in the form the kernels want, so that `loadOptimizedSession` starts in a fraction of the time. */
export async function createSessionAndSave(
  graph: BuiltGraph,
  settings: SessionSettings,
  modelPath: string,
): Promise<Session> {
  const weightsName = `${modelPath.slice(modelPath.lastIndexOf('/') + 1)}.data`;
  const options = sessionOptions(settings, {
    model_external_initializers_file_folder_path: graph.weightsFolder,
    optimized_model_external_initializers_file_name: weightsName,
    optimized_model_external_initializers_min_size_in_bytes: String(
      Math.max(MIN_MAPPED_BYTES, graph.largestInlineBytes + 1),
    ),
    save_external_prepacked_constant_initializers: '1',
  });
  return new OnnxRuntimeSession(
    await translateErrors(() =>
      InferenceSession.create(graph.model, { ...options, optimizedModelFilePath: modelPath }),
    ),
  );
}

/** Loads what `createSessionAndSave` wrote; its weights are mapped, and shared between processes. */
export async function loadOptimizedSession(modelPath: string, settings: SessionSettings): Promise<Session> {
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
    ...(threads === 0 ? {} : { intraOpNumThreads: threads }),
    extra: { session: { ...entries, intra_op: { allow_spinning: spin ? '1' : '0' } } },
  };
}

class OnnxRuntimeSession implements Session {
  #session: InferenceSession | undefined;

  constructor(session: InferenceSession) {
    this.#session = session;
  }

  async run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>> {
    const session = this.#session;
    if (session === undefined) throw new Text2ImgError('internal', 'a network was run after its session was closed.');
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, toOrt(tensor)]));
    const results = await translateErrors(() => session.run(feeds));
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [name, { data: tensor.data as TensorData, shape: tensor.dims }]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }
}

function toOrt({ data, shape }: Tensor): OrtTensor {
  if (data instanceof Float32Array) return new OrtTensor('float32', data, shape);
  if (data instanceof Int32Array) return new OrtTensor('int32', data, shape);
  return new OrtTensor('int64', data, shape);
}

async function translateErrors<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const message = messageOf(error);
    const refusal = memoryRefusal(message);
    if (refusal !== undefined)
      throw new Text2ImgError('engine_out_of_memory', `there is not enough memory for the model: ${refusal}.`, {
        cause: error,
      });
    throw new Text2ImgError('inference_failed', `ONNX Runtime failed: ${message.split('\n')[0]}`, { cause: error });
  }
}
