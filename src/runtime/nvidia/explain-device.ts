/** Why a CUDA device cannot be used, and what to do about it: the runtime's message, completed by what the driver's own program says. */
import { gpuFault } from '../../lib/gpu-errors.ts';
import { type Environment, type GpuList, listGpus } from './smi.ts';
import { isInContainer, visibleGpus } from './visible-gpus.ts';

export interface DeviceProblem {
  /** Without a full stop. */
  readonly problem: string;
  /** A sentence. */
  readonly advice: string;
  /** The machine has an NVIDIA GPU, or had one. */
  readonly hasGpu: boolean;
}

const CUDA_ADVICE = '"text2img setup cuda" downloads its libraries; an NVIDIA driver must be installed.';
const NO_DRIVER = /libcuda\.so(?:\.1)?: cannot open|no CUDA-capable device|driver version is insufficient/i;

/** @param device `cuda:N` @param message the runtime's */
export async function explainDevice(device: string, message: string, environment: Environment): Promise<DeviceProblem> {
  const list = await listGpus(environment);
  const fault = gpuFault(message);
  const driver = list.state === 'failed' ? gpuFault(list.text) : undefined;
  const hasGpu = list.state === 'listed' || (driver !== undefined && !/CUDA sees no GPU/.test(driver.problem));
  const none = missingNumber(device, message, list, environment);
  if (none !== undefined) return { ...none, hasGpu };
  // The driver's own program knows better why CUDA found nothing.
  if (driver !== undefined && (fault === undefined || NO_DRIVER.test(message))) return { ...driver, hasGpu };
  if (list.state === 'absent' && NO_DRIVER.test(message) && isInContainer(environment))
    return {
      problem: 'this container has no GPU',
      advice: 'Start it with --gpus all. The host needs an NVIDIA driver and the NVIDIA Container Toolkit.',
      hasGpu,
    };
  return fault === undefined ? { problem: message, advice: CUDA_ADVICE, hasGpu } : { ...fault, hasGpu };
}

/** A number beyond those of the GPUs that CUDA shows. */
function missingNumber(
  device: string,
  message: string,
  list: GpuList,
  environment: Environment,
): Pick<DeviceProblem, 'problem' | 'advice'> | undefined {
  if (list.state !== 'listed' || !/invalid device ordinal|no CUDA-capable device/i.test(message)) return undefined;
  const shown = visibleGpus(list.gpus, environment);
  const number = Number(/^cuda:(\d{1,3})$/.exec(device)?.[1]);
  if (shown === undefined || number < shown.length) return undefined;
  const [all, hidden] = [list.gpus.length, environment['CUDA_VISIBLE_DEVICES'] !== undefined];
  if (shown.length === 0)
    return {
      problem: `CUDA_VISIBLE_DEVICES hides ${all === 1 ? 'the GPU' : `all ${all} GPUs`} of this machine`,
      advice: 'Remove it, or set it to the numbers that "nvidia-smi" lists.',
    };
  const names = shown.map((_, index) => `cuda:${index}`).join(', ');
  const of = hidden && shown.length < all ? ` of ${all} that CUDA_VISIBLE_DEVICES allows` : '';
  return {
    problem: `there is no GPU ${number}: this machine has ${shown.length}${of} (${names})`,
    advice: `Give --device ${names.split(', ')[0]}, or another of them.`,
  };
}
