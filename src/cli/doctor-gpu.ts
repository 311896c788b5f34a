/** The check of NVIDIA's GPUs by `text2img doctor`: name, memory, compute capability, driver, and what each lacks. */
import type { DoctorFinding } from '../engine/doctor-probes.ts';
import { gigabytesText } from '../lib/gigabytes.ts';
import { gpuFault, LEAST_COMPUTE_CAPABILITY, LEAST_DRIVER } from '../lib/gpu-errors.ts';
import { driverCudaVersion, type Environment, listGpus, type NvidiaGpu } from '../runtime/nvidia/smi.ts';
import { isInContainer, visibleGpus } from '../runtime/nvidia/visible-gpus.ts';

const NAME = 'gpu';

/**
 * One finding a GPU, or one that says why there is none.
 * @param isWanted false: images are generated on the CPU anyway, so nothing about a GPU is a problem
 */
export async function inspectGpus(environment: Environment, isWanted = true): Promise<readonly DoctorFinding[]> {
  const findings = await allFindings(environment);
  return findings.map((finding) =>
    finding.status === 'problem' && !isWanted ? { ...finding, status: 'missing' } : finding,
  );
}

async function allFindings(environment: Environment): Promise<readonly DoctorFinding[]> {
  const list = await listGpus(environment);
  if (list.state === 'absent') return [absent(environment)];
  if (list.state === 'failed') return [failed(list.text, environment)];
  const cuda = await driverCudaVersion(environment);
  const shown = visibleGpus(list.gpus, environment);
  const many = list.gpus.length > 1;
  return list.gpus.map((gpu) => {
    const number = shown?.indexOf(gpu);
    const finding = gpuFinding(gpu, cuda);
    const device = number === undefined ? '' : number === -1 ? ', hidden by CUDA_VISIBLE_DEVICES' : `, cuda:${number}`;
    return {
      ...finding,
      name: many ? `${NAME} ${gpu.index}` : NAME,
      detail: `${finding.detail}${many || number === -1 ? device : ''}`,
    };
  });
}

function absent(environment: Environment): DoctorFinding {
  const container = isInContainer(environment);
  return {
    name: NAME,
    status: 'missing',
    detail: 'no NVIDIA GPU answers',
    advice: container
      ? 'images are generated on the CPU; for a GPU, start the container with --gpus all'
      : 'images are generated on the CPU; for a GPU, install NVIDIA’s driver (nvidia-smi must work)',
  };
}

function failed(text: string, environment: Environment): DoctorFinding {
  const fault = gpuFault(text);
  const problem = fault?.problem ?? `nvidia-smi failed: ${text}`;
  if (/No devices were found/i.test(text)) return { ...absent(environment), detail: 'the driver finds no NVIDIA GPU' };
  return { name: NAME, status: 'problem', detail: problem, advice: fault?.advice ?? 'nvidia-smi must work' };
}

/** @param cuda the newest that the driver can run */
function gpuFinding(gpu: NvidiaGpu, cuda: string | undefined): DoctorFinding {
  const { name, memoryBytes, freeBytes, computeCapability, driver, isMig, isPersistent } = gpu;
  const facts = [
    name,
    memoryBytes === undefined
      ? 'its memory is not known'
      : `${gigabytesText(memoryBytes)}${freeBytes === undefined ? '' : `, ${gigabytesText(freeBytes)} of it free`}`,
    ...(computeCapability === undefined ? [] : [`compute capability ${computeCapability.toFixed(1)}`]),
    ...(driver === undefined ? [] : [`driver ${driver}${cuda === undefined ? '' : ` for CUDA ${cuda}`}`]),
    ...(isMig === true ? ['cut into instances (MIG)'] : []),
    ...(isPersistent === false ? ['persistence mode off ("sudo nvidia-smi -pm 1" makes starts faster)'] : []),
  ];
  if (computeCapability !== undefined && computeCapability < LEAST_COMPUTE_CAPABILITY)
    return {
      name: NAME,
      // Nobody can mend it.
      status: 'missing',
      detail: [...facts, `CUDA 13 needs compute capability ${LEAST_COMPUTE_CAPABILITY}`].join(', '),
      advice: 'this GPU is too old, so images are generated on the CPU; use another GPU',
    };
  const trouble = troubleOf(gpu);
  const detail = [...facts, ...(trouble === undefined ? [] : [trouble.problem])].join(', ');
  if (trouble !== undefined) return { name: NAME, status: 'problem', detail, advice: trouble.advice };
  return { name: NAME, status: 'ok', detail };
}

function troubleOf(gpu: NvidiaGpu): { readonly problem: string; readonly advice: string } | undefined {
  const { driver, uncorrectedErrors = 0 } = gpu;
  if (driver !== undefined && Number(driver.split('.')[0]) < LEAST_DRIVER)
    return {
      problem: `CUDA 13 needs driver ${LEAST_DRIVER} or newer`,
      advice: `install NVIDIA’s driver ${LEAST_DRIVER} or newer, for example "sudo apt install nvidia-driver-${LEAST_DRIVER}-server", and restart the machine`,
    };
  if (uncorrectedErrors > 0)
    return {
      problem: `${uncorrectedErrors} uncorrected memory errors`,
      advice:
        'reset it with "sudo nvidia-smi --gpu-reset", or restart the machine; if they come back, the GPU is faulty',
    };
  return undefined;
}
