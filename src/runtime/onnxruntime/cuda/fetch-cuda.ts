/**
 * `text2img setup cuda`: downloads ONNX Runtime's CUDA provider and NVIDIA's libraries into our folder. The user installs nothing but a driver.
 *
 * ONNX Runtime looks for its providers beside its own library. We put a copy of that library into the same folder, and LD_LIBRARY_PATH makes the loader
 * find it first. So nothing is written into `node_modules`. Tried with onnxruntime-node 1.30: its binding has a RUNPATH, which LD_LIBRARY_PATH precedes.
 */
import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Text2ImgError } from '../../../errors/text2img-error.ts';
import { type DownloadOptions, fetchWheels } from '../../wheels/fetch-wheels.ts';
import type { Wheel } from '../../wheels/wheel.ts';
import { CUDA_WHEELS } from './cuda-wheels.ts';
import { cudaLibraryFolder } from './library-folder.ts';

const RUNTIME_LIBRARY = 'libonnxruntime.so.1';

export interface FetchCudaOptions extends DownloadOptions {
  /** Where the folder of libraries is made; see `cudaLibraryFolder`. */
  readonly dataHome: string;
  readonly wheels?: readonly Wheel[];
  /** Called before anything is downloaded. */
  readonly onBegin?: () => void;
}

/** @returns the folder, at once when it is there already @throws `download_failed`, `device_unavailable`, `disk_full`, `store_unwritable` */
export async function fetchCuda({
  dataHome,
  wheels = CUDA_WHEELS,
  onBegin,
  ...download
}: FetchCudaOptions): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Text2ImgError(
      'device_unavailable',
      `CUDA is set up for linux-x64 only; this is ${process.platform}-${process.arch}.`,
    );
  }
  const folder = cudaLibraryFolder(dataHome);
  if (existsSync(folder)) return folder;
  onBegin?.();
  await fetchWheels({
    ...download,
    folder,
    wheels,
    needs: '3.4 GB',
    finish: (draft) => copyFile(runtimeLibrary(), join(draft, RUNTIME_LIBRARY)),
  });
  return folder;
}

function runtimeLibrary(): string {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return join(dirname(manifest), 'bin', 'napi-v6', 'linux', 'x64', RUNTIME_LIBRARY);
}
