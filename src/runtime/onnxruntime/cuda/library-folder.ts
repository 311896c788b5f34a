/** Where the libraries of `setup cuda` lie; a file of its own, because every engine is started with the folder and few ever fill it. */
import { join } from 'node:path';
import { ONNX_RUNTIME_VERSION } from './cuda-wheels.ts';

/** The folder that `fetchCuda` fills, whole or not at all. */
export function cudaLibraryFolder(dataHome: string): string {
  return join(dataHome, 'text2img', `cuda-onnxruntime-${ONNX_RUNTIME_VERSION}`);
}
