/** Opens a network in ONNX Runtime through its C API: through the compile cache on a CPU, with recorded runs on CUDA. */
import { availableParallelism } from 'node:os';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { type BuiltGraph, requirePortable } from '../../onnx/built-graph.ts';
import { openThroughCache } from '../compile-cache.ts';
import { openConverted } from '../converted-form.ts';
import type { DeviceTensor, HostTensor, Network, OpenOptions } from '../contract.ts';
import { SessionNetwork } from '../session-network.ts';
import { compiledForm } from './compiled-form.ts';
import { cudaDeviceOf } from './device-name.ts';
import { DeviceMemory } from './device-memory.ts';
import { openEnvironment, type OrtEnvironment } from './environment.ts';
import { createSession, type OrtSession, type SessionPlace } from './session.ts';

export interface NetworkOptions extends OpenOptions {
  /** 0: no run is recorded. */
  readonly mostCaptures: number;
  readonly cudaOptions?: Readonly<Record<string, string>> | undefined;
}

/** @throws `runtime_unavailable`, `device_unavailable`, `inference_failed`, `engine_out_of_memory` */
export async function openNetwork(graph: BuiltGraph, options: NetworkOptions): Promise<Network> {
  const { device, computeType, use, threads, cache, deterministic = false } = options;
  if (computeType === 'bfloat16')
    throw new Text2ImgError('device_unavailable', 'ONNX Runtime does not compute in bfloat16; OpenVINO does.');
  const deviceId = cudaDeviceOf(device);
  if (deviceId === undefined) requirePortable(graph, device);
  if (graph.weightType === 'int8' && deviceId !== undefined)
    throw new Text2ImgError('device_unavailable', `weights of 8 bits are for the CPU, not for ${device}.`);
  const environment = await openEnvironment();
  const place: SessionPlace = {
    environment,
    memory: memoryOf(environment, device),
    settings: {
      // As the Node binding: `onnxruntime/network.ts`.
      threads: threads === 0 ? availableParallelism() : threads,
      spin: use === 'every-step',
      ...(deviceId === undefined
        ? {}
        : { cuda: { deviceId, deterministic, capture: false, others: options.cudaOptions } }),
    },
    mostCaptures: 0,
  };
  // With operators that are spelled out, ONNX Runtime 1.30 ends with a segmentation fault when it loads its own compiled form.
  if (deviceId === undefined && graph.form === undefined)
    return await SessionNetwork.open(() =>
      openThroughCache(graph, compiledForm(graph, place), cache ?? { folder: null }),
    );
  const isPlain = deviceId === undefined || use === 'once' || options.mostCaptures === 0;
  const create = (ready: BuiltGraph): Promise<OrtSession> =>
    isPlain ? createSession(ready, place) : createCapturing(ready, place, options);
  return await SessionNetwork.open(() => openConverted(graph, create, cache));
}

/** A graph with a node that the CPU must run cannot be recorded: then its runs are not. */
async function createCapturing(
  graph: BuiltGraph,
  place: SessionPlace,
  { mostCaptures, cache }: NetworkOptions,
): Promise<OrtSession> {
  const { settings } = place;
  const { cuda } = settings;
  if (cuda === undefined) return await createSession(graph, place);
  try {
    const capturing = { ...settings, cuda: { ...cuda, capture: true } };
    return await createSession(graph, { ...place, settings: capturing, mostCaptures });
  } catch (error) {
    if (!/graph capture/i.test(messageOf(error))) throw error;
    cache?.onNote?.(`Runs are not recorded, so each one is launched in pieces: ${messageOf(error)}`);
    return await createSession(graph, place);
  }
}

/** @throws `runtime_unavailable`, `device_unavailable`, `engine_out_of_memory` */
export async function upload(tensor: HostTensor, device: string): Promise<DeviceTensor> {
  return await memoryOf(await openEnvironment(), device).copy(tensor);
}

const memories = new WeakMap<OrtEnvironment, Map<string, DeviceMemory>>();

function memoryOf(environment: OrtEnvironment, device: string): DeviceMemory {
  const known = memories.get(environment) ?? new Map<string, DeviceMemory>();
  memories.set(environment, known);
  const memory = known.get(device) ?? new DeviceMemory(environment, device, cudaDeviceOf(device));
  known.set(device, memory);
  return memory;
}
