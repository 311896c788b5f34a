/** The engine child's environment. */
import { existsSync } from 'node:fs';
import { childEnvironment } from '../config/child-environment.ts';
import type { Environment } from '../config/environment.ts';
import { dataHome } from '../config/user-folders.ts';
import { PCI_ORDER } from '../runtime/nvidia/visible-gpus.ts';
import { cudaLibraryFolder } from '../runtime/onnxruntime/cuda/library-folder.ts';

/**
 * With the CUDA libraries that `setup cuda` fetched on the loader's path. GPUs have the numbers that nvidia-smi gives them, unless the operator orders
 * them otherwise: CUDA's own order is by speed, so `cuda:0` would not be the GPU 0 of a machine with two kinds.
 */
export function engineEnvironment(environment: Environment): Environment {
  const libraryFolder = cudaLibraryFolder(dataHome(environment));
  return { ...PCI_ORDER, ...childEnvironment(environment, existsSync(libraryFolder) ? { libraryFolder } : {}) };
}
