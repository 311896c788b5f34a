/** The engine child's environment. */
import { existsSync } from 'node:fs';
import { environmentWithFirst } from '../config/child-environment.ts';
import { dataHome } from '../config/user-folders.ts';
import { cudaLibraryFolder } from '../engine/cuda/fetch-cuda.ts';

/**
 * With the CUDA libraries that `setup cuda` fetched on the loader's path, which it reads only when a process starts.
 * Undefined: as this process has it.
 */
export function engineEnvironment(): Readonly<Record<string, string | undefined>> | undefined {
  const folder = cudaLibraryFolder(dataHome());
  return existsSync(folder) ? environmentWithFirst('LD_LIBRARY_PATH', folder) : undefined;
}
