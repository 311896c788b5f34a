/** ONNX Runtime's devices, each tried in a child process. This file loads no native library. */
import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { gpuFault } from '../../lib/gpu-errors.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { GraphForm } from '../../onnx/graph-form.ts';
import type { DeviceReport, Runtime } from '../contract.ts';
import { explainDevice } from '../nvidia/explain-device.ts';
import { gpuMemory } from '../nvidia/gpu-memory.ts';
import { gpuOf } from '../nvidia/visible-gpus.ts';
import { listGpus } from '../nvidia/smi.ts';
import { tryInChild } from '../try-in-child.ts';
import { providerOf } from './execution-provider.ts';
import { libraryFolders } from './library-folders.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './try-device-child.ts' : './try-device-child.js',
  import.meta.url,
);
const CUDA_ADVICE = '"text2img setup cuda" downloads its libraries; an NVIDIA driver must be installed.';

/** Its loader's path is the one that counts unless the caller has another. */
export function ownEnvironment(): Environment {
  return process.env;
}

type Options = NonNullable<Parameters<Runtime['devices']>[0]>;
type TrialOptions = Required<Pick<Options, 'environment' | 'triesFusedForm'>>;

/** `cpu`, every CUDA GPU that answers (or `cuda:0` with its problem) and `webgpu`; or only the one that is named. */
export async function tryDevices({
  only,
  environment = ownEnvironment(),
  triesFusedForm = false,
}: Options = {}): Promise<DeviceReport[]> {
  const options = { environment, triesFusedForm };
  if (only !== undefined) return [await report(only, options)];
  const [cpu, cuda, webgpu] = await Promise.all([
    report('cpu', options),
    cudaDevices(options),
    report('webgpu', options),
  ]);
  return [cpu, ...cuda, webgpu];
}

/** Of a CUDA GPU. */
export function deviceMemory(device: string): ReturnType<typeof gpuMemory> {
  return device.startsWith('cuda:') ? gpuMemory(device, process.env) : undefined;
}

/** CUDA alone has the operators of the fused form. */
export function formOf(device: string): GraphForm {
  return providerOf(device).name === 'cuda' ? 'fused' : 'portable';
}

async function cudaDevices(options: TrialOptions): Promise<DeviceReport[]> {
  const found: DeviceReport[] = [];
  for (;;) {
    const next = await report(`cuda:${found.length}`, options);
    const isThere = next.computeTypes.length > 0;
    if (isThere || found.length === 0) found.push(next);
    if (!isThere) return found;
  }
}

async function report(device: string, { environment, triesFusedForm: isAsked }: TrialOptions): Promise<DeviceReport> {
  const { name } = providerOf(device);
  if (name === 'cuda' && isCudaMissing(environment))
    return {
      device,
      kind: 'gpu',
      computeTypes: [],
      problem: 'ONNX Runtime’s CUDA provider is not installed',
      advice: CUDA_ADVICE,
    };
  const triesFusedForm = isAsked === true && formOf(device) === 'fused';
  const trial = { child: CHILD, parameters: [device], environment, triesFusedForm };
  const { computeTypes, problem, fusedProblem } = await tryInChild(trial);
  const facts = { device, kind: name === 'cpu' ? 'cpu' : 'gpu', computeTypes } as const;
  if (name === 'cpu') return { ...facts, memoryBytes: totalmem(), ...omitUndefined({ problem }) };
  if (name !== 'cuda') return { ...facts, ...omitUndefined(withoutPlace(problem)) };
  if (computeTypes.length > 0)
    return { ...facts, ...(await cudaFacts(device, environment)), ...omitUndefined({ problem, fusedProblem }) };
  return { ...facts, ...(await explainDevice(device, problem ?? 'it does not answer', environment)) };
}

/** Name and memory of a GPU that works. */
export async function cudaFacts(device: string, environment: Environment): Promise<Partial<DeviceReport>> {
  const list = await listGpus(environment);
  const gpu = list.state === 'listed' ? gpuOf(device, list.gpus, environment) : undefined;
  return omitUndefined({ name: gpu?.name, memoryBytes: gpu?.memoryBytes });
}

function withoutPlace(message: string | undefined): Partial<Pick<DeviceReport, 'problem' | 'advice'>> {
  const fault = message === undefined ? undefined : gpuFault(message);
  return fault === undefined ? omitUndefined({ problem: message }) : { problem: fault.problem, advice: fault.advice };
}

/** Most machines have no GPU. A look at the disk spares them half a second of processor time at each start. */
export function isCudaMissing(environment: Environment = ownEnvironment()): boolean {
  if (process.platform !== 'linux') return false;
  return !libraryFolders(environment).some((folder) => existsSync(join(folder, 'libonnxruntime_providers_cuda.so')));
}
