/** The runtimes. Importing this file loads no native library; opening a network does. */
import type { Runtime } from './contract.ts';
import { ONNX_RUNTIME } from './onnxruntime/onnx-runtime.ts';
import { onnxRuntimeC } from './onnxruntime-c/onnxruntime-c.ts';
import { openvinoRuntime } from './openvino/openvino.ts';

/** One line for each. Networks run on the first that can use the device. */
export const RUNTIMES: readonly [Runtime, ...Runtime[]] = [ONNX_RUNTIME];

/** ONNX Runtime through its C API, for CUDA and the CPU. */
export const ONNX_RUNTIME_C: Runtime = onnxRuntimeC();

/** OpenVINO for the CPU. No constant: its libraries lie in a folder that `setup openvino` fills. */
export function openvinoIn(libraryFolder: string): Runtime {
  return openvinoRuntime(libraryFolder);
}

/** The runtime for the CPU. */
export const DEFAULT_RUNTIME: Runtime = RUNTIMES[0];
