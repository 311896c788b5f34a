/** The options of ONNX Runtime's CUDA provider, of which the Node binding can set `device_id` alone. */
import type { OrtEnvironment } from './environment.ts';
import type { OwnedHandle } from './handle.ts';

export interface CudaSettings {
  readonly deviceId: number;
  /** A run is recorded once for each shape of its inputs, and replayed afterwards. */
  readonly capture: boolean;
  /** Products of float32 are computed in float32. */
  readonly deterministic: boolean;
  /** They replace those that we set: for benchmarks. */
  readonly others?: Readonly<Record<string, string>> | undefined;
}

/** Keys of `onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc`. docs/decisions/gpu-speed.md has the times with other values. */
export function cudaOptionsFor({
  deviceId,
  capture,
  deterministic,
  others = {},
}: CudaSettings): Readonly<Record<string, string>> {
  return {
    device_id: String(deviceId),
    // The default tries every algorithm, for seconds at each new shape.
    cudnn_conv_algo_search: 'HEURISTIC',
    // The default doubles the arena, which leaves half of it unused.
    arena_extend_strategy: 'kSameAsRequested',
    use_ep_level_unified_stream: '1',
    ...(capture ? { enable_cuda_graph: '1' } : {}),
    // TF32 has ten bits after the point.
    ...(deterministic ? { use_tf32: '0' } : {}),
    ...others,
  };
}

/** All options at once, because each update replaces all earlier ones. @throws `inference_failed` for a key that the provider does not have */
export function makeCudaOptions(environment: OrtEnvironment, options: Readonly<Record<string, string>>): OwnedHandle {
  const { functions } = environment;
  const made = environment.own((box) => functions.createCudaOptions(box), functions.releaseCudaOptions);
  try {
    const [keys, values] = [Object.keys(options), Object.values(options)];
    environment.check(functions.updateCudaOptions(made.address, keys, values, keys.length));
    return made;
  } catch (error) {
    made[Symbol.dispose]();
    throw error;
  }
}
