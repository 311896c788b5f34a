/**
 * The folders that hold ONNX Runtime's library, in the order in which the loader looks: another copy on the loader's path (`setup cuda`), then the
 * package. ONNX Runtime looks for its providers beside its own library.
 */
import { dirname, delimiter, join } from 'node:path';
import { createRequire } from 'node:module';

export function libraryFolders(environment: Readonly<Record<string, string | undefined>>): string[] {
  const onPath = (environment['LD_LIBRARY_PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...onPath, packageLibraryFolder()];
}

/** Of `onnxruntime-node`, for Linux. */
export function packageLibraryFolder(): string {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return join(dirname(manifest), 'bin', 'napi-v6', 'linux', process.arch);
}
