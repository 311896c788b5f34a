/** ONNX Runtime's devices, each tried in a child process. This file loads no native library. */
import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { DeviceReport } from '../contract.ts';
import { tryInChild } from '../try-in-child.ts';
import { providerOf } from './execution-provider.ts';
import { libraryFolders } from './library-folders.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './try-device-child.ts' : './try-device-child.js',
  import.meta.url,
);
const CUDA_ADVICE = '"text2img setup cuda" downloads its libraries; an NVIDIA driver must be installed.';

/** `cpu`, every CUDA GPU that answers (or `cuda:0` with its problem) and `webgpu`; or only the one that is named. */
export async function tryDevices(
  only: string | undefined,
  // The loader's path is this process' own unless the caller has another.
  environment: Environment = process.env,
): Promise<DeviceReport[]> {
  if (only !== undefined) return [await report(only, environment)];
  const [cpu, cuda, webgpu] = await Promise.all([
    report('cpu', environment),
    cudaDevices(environment),
    report('webgpu', environment),
  ]);
  return [cpu, ...cuda, webgpu];
}

async function cudaDevices(environment: Environment): Promise<DeviceReport[]> {
  const found: DeviceReport[] = [];
  for (;;) {
    const next = await report(`cuda:${found.length}`, environment);
    const isThere = next.computeTypes.length > 0;
    if (isThere || found.length === 0) found.push(next);
    if (!isThere) return found;
  }
}

async function report(device: string, environment: Environment): Promise<DeviceReport> {
  const { name } = providerOf(device);
  const answer =
    name === 'cuda' && isCudaMissing(environment)
      ? { computeTypes: [], problem: 'ONNX Runtime’s CUDA provider is not installed' }
      : await tryInChild({ child: CHILD, parameters: [device], environment });
  return {
    device,
    kind: name === 'cpu' ? 'cpu' : 'gpu',
    computeTypes: answer.computeTypes,
    ...(name === 'cpu' ? { memoryBytes: totalmem() } : {}),
    ...omitUndefined({ problem: answer.problem }),
    ...(name === 'cuda' && answer.computeTypes.length === 0 ? { advice: CUDA_ADVICE } : {}),
  };
}

/** Most machines have no GPU. A look at the disk spares them half a second of processor time at each start. */
export function isCudaMissing(environment: Environment = process.env): boolean {
  if (process.platform !== 'linux') return false;
  return !libraryFolders(environment).some((folder) => existsSync(join(folder, 'libonnxruntime_providers_cuda.so')));
}
