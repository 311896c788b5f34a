/** Checks of the machine for `text2img doctor`, each with advice. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { DEFAULT_RUNTIME } from '../runtime/registry.ts';

export interface DoctorFinding {
  readonly name: string;
  /** `missing` is fine for a user who does not need it; `problem` is not. `not_checked`: a problem above prevents the check. */
  readonly status: 'ok' | 'missing' | 'problem' | 'not_checked';
  readonly detail: string;
  readonly advice?: string;
}

/** The engine child's environment, whole. */
type Environment = Readonly<Record<string, string | undefined>>;

const SETUP_CUDA = 'run "text2img setup cuda"';
const NO_CUDA = `needs an NVIDIA GPU and its driver, then "text2img setup cuda"`;
const ADVICE: Readonly<Record<string, string>> = { webgpu: 'needs a GPU with a Vulkan, Metal or Direct3D 12 driver' };

/** Stable Diffusion 1.x in float32 with its images. */
const COMFORTABLE_BYTES = 6 * 2 ** 30;

/** @param gpus the driver's GPUs; they stand before the devices */
export async function probeMachine(
  environment: Environment,
  gpus: readonly DoctorFinding[],
): Promise<readonly DoctorFinding[]> {
  const hasGpu = gpus.some(({ status }) => status !== 'missing');
  const devices = await DEFAULT_RUNTIME.devices({ environment, triesFusedForm: true });
  return [probeProcessor(), probeMemory(), ...gpus, ...devices.map((report) => deviceFinding(report, hasGpu))];
}

function probeProcessor(): DoctorFinding {
  const flags = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const found = ['avx2', 'avx512f', 'avx512_bf16', 'amx_tile'].filter((flag) =>
    new RegExp(`\\b${flag}\\b`).test(flags),
  );
  const detail = `${cpus()[0]?.model ?? process.arch}, ${availableParallelism()} threads${found.length > 0 ? `, ${found.join(' ')}` : ''}`;
  if (process.arch === 'x64' && flags !== '' && found.length === 0) {
    return {
      name: 'processor',
      status: 'problem',
      detail,
      advice: 'without AVX2, images take several times as long; use another machine or a GPU',
    };
  }
  return { name: 'processor', status: 'ok', detail };
}

function probeMemory(): DoctorFinding {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const detail = `${gib(totalmem())}, ${gib(freemem())} of it free`;
  if (totalmem() >= COMFORTABLE_BYTES) return { name: 'memory', status: 'ok', detail };
  return {
    name: 'memory',
    status: 'problem',
    detail,
    advice: `Stable Diffusion 1.x needs ${gib(COMFORTABLE_BYTES)}; small checkpoints need less, and --vae-tiling helps with large images`,
  };
}

type DeviceReport = Awaited<ReturnType<typeof DEFAULT_RUNTIME.devices>>[number];

/** Which form networks have on it, behind what else is said of it. */
export function formText({ device, fusedProblem }: DeviceReport): string {
  if (DEFAULT_RUNTIME.graphForm?.(device) !== 'fused') return '';
  if (fusedProblem === undefined) return ', with networks in the fused form';
  return `, with networks in the portable form, which is slower; the fused form has trouble: ${fusedProblem}`;
}

/** @param hasGpu the driver lists one */
function deviceFinding(report: DeviceReport, hasGpu: boolean): DoctorFinding {
  const { device, computeTypes, problem = 'it is unknown', advice: own } = report;
  const name = `device ${device.replace(/:0$/, '')}`;
  if (computeTypes.length > 0)
    return { name, status: 'ok', detail: `works in ${computeTypes.join(' and ')}${formText(report)}` };
  const isNotSetUp = device.startsWith('cuda') && problem.endsWith('is not installed');
  const advice = isNotSetUp ? (hasGpu ? SETUP_CUDA : NO_CUDA) : (own ?? ADVICE[device]);
  // A GPU that is there and does not work is a problem; one that nobody has is none.
  const isProblem = device === 'cpu' || (hasGpu && report.hasGpu === true);
  return { name, status: isProblem ? 'problem' : 'missing', detail: problem, ...omitUndefined({ advice }) };
}
