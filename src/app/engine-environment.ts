/** The engine child's environment. */
import { existsSync } from 'node:fs';
import { childEnvironment } from '../config/child-environment.ts';
import type { Environment } from '../config/environment.ts';
import { dataHome } from '../config/user-folders.ts';
import { cudaLibraryFolder } from '../runtime/onnxruntime/cuda/library-folder.ts';

/** With the CUDA libraries that `setup cuda` fetched on the loader's path. */
export function engineEnvironment(environment: Environment): Environment {
  const libraryFolder = cudaLibraryFolder(dataHome(environment));
  return childEnvironment(environment, existsSync(libraryFolder) ? { libraryFolder } : {});
}
