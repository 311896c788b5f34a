/** The runtimes. Importing this file loads no native library; opening a network does. */
import type { Runtime } from './contract.ts';
import { ONNX_RUNTIME } from './onnxruntime/onnx-runtime.ts';

/** One line for each, the preferred one first. */
const RUNTIMES: readonly [Runtime, ...Runtime[]] = [ONNX_RUNTIME];

/** What networks run on where nothing else is asked for. */
export const DEFAULT_RUNTIME: Runtime = RUNTIMES[0];
