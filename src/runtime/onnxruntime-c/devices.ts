/** The devices of ONNX Runtime's C API, each tried in a child process. This file loads no native library. */
import { totalmem } from 'node:os';
import { messageOf } from '../../lib/disk-errors.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import type { GraphForm } from '../../onnx/graph-form.ts';
import type { DeviceReport, Runtime } from '../contract.ts';
import { explainDevice } from '../nvidia/explain-device.ts';
import { cudaFacts, isCudaMissing, ownEnvironment } from '../onnxruntime/devices.ts';
import { type Trial, tryInChild } from '../try-in-child.ts';
import { cudaDeviceOf, isDevice } from './device-name.ts';
import { requireLibrary } from './library.ts';

const CHILD = new URL(
  import.meta.url.endsWith('.ts') ? './try-device-child.ts' : './try-device-child.js',
  import.meta.url,
);

type Options = NonNullable<Parameters<Runtime['devices']>[0]>;

/**
 * `cpu` and every CUDA GPU that answers, or `cuda:0` with its problem.
 * @param only this one; nothing is returned where it is of another kind
 */
export async function tryDevices({ only, ...options }: Options = {}): Promise<DeviceReport[]> {
  if (only !== undefined) return isDevice(only) ? [await report(only, options)] : [];
  const found = [await report('cpu', options)];
  for (let number = 0; ; number++) {
    const next = await report(`cuda:${number}`, options);
    const isThere = next.computeTypes.length > 0;
    if (isThere || number === 0) found.push(next);
    if (!isThere) return found;
  }
}

/** CUDA alone has the operators of the fused form. @throws `device_unavailable` for a device that is none here */
export function formOf(device: string): GraphForm {
  return cudaDeviceOf(device) === undefined ? 'portable' : 'fused';
}

async function report(
  device: string,
  { environment, triesFusedForm: isAsked = false }: Omit<Options, 'only'>,
): Promise<DeviceReport> {
  const kind = device === 'cpu' ? 'cpu' : 'gpu';
  const before = problemBefore(device, environment);
  if (before !== undefined) return { device, kind, computeTypes: [], problem: before };
  const triesFusedForm = isAsked && formOf(device) === 'fused';
  const trial = { child: CHILD, parameters: [device], environment, triesFusedForm };
  const { computeTypes, problem, fusedProblem } = await tryInChild(trial);
  const facts = { device, kind, computeTypes } as const;
  if (kind === 'cpu') return { ...facts, memoryBytes: totalmem(), ...omitUndefined({ problem }) };
  const variables = environment ?? ownEnvironment();
  if (computeTypes.length > 0) {
    return { ...facts, ...(await cudaFacts(device, variables)), ...omitUndefined({ problem, fusedProblem }) };
  }
  return { ...facts, ...(await explainDevice(device, problem ?? 'it does not answer', variables)) };
}

/** A problem that shows without a process. */
function problemBefore(device: string, environment: Trial['environment']): string | undefined {
  try {
    const isCuda = cudaDeviceOf(device) !== undefined;
    requireLibrary(environment);
    return isCuda && isCudaMissing(environment) ? 'ONNX Runtime’s CUDA provider is not installed' : undefined;
  } catch (error) {
    return messageOf(error);
  }
}
