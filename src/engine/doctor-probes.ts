/** Checks of the machine for `text2img doctor`, each with advice. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { promisify } from 'node:util';
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

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 60_000;

/** Stable Diffusion 1.x in float32 with its images. */
const COMFORTABLE_BYTES = 6 * 2 ** 30;

export async function probeMachine(environment: Environment): Promise<readonly DoctorFinding[]> {
  const gpu = await probeGpu(environment);
  const providers = await Promise.all([
    probeDevice('cpu', environment),
    probeDevice(
      'cuda:0',
      environment,
      gpu.status === 'ok'
        ? 'run "text2img setup cuda"'
        : 'needs an NVIDIA GPU and its driver, then "text2img setup cuda"',
    ),
    probeDevice('webgpu', environment, 'needs a GPU with a Vulkan, Metal or Direct3D 12 driver'),
  ]);
  return [probeProcessor(), probeMemory(), gpu, ...providers];
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

async function probeGpu(environment: Environment): Promise<DoctorFinding> {
  try {
    const { stdout } = await run(
      'nvidia-smi',
      ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'],
      { timeout: PROBE_TIMEOUT_MS, env: environment },
    );
    return { name: 'gpu', status: 'ok', detail: stdout.trim().replaceAll('\n', '; ') };
  } catch {
    return {
      name: 'gpu',
      status: 'missing',
      detail: 'no NVIDIA GPU answers',
      advice: 'images are generated on the CPU; for a GPU, install NVIDIA’s driver (nvidia-smi must work)',
    };
  }
}

async function probeDevice(device: string, environment: Environment, advice?: string): Promise<DoctorFinding> {
  const [report] = await DEFAULT_RUNTIME.devices({ only: device, environment });
  const shown = device.replace(/:0$/, '');
  const name = `device ${shown}`;
  if (report !== undefined && report.computeTypes.length > 0)
    return { name, status: 'ok', detail: `works in ${report.computeTypes.join(' and ')}` };
  return {
    name,
    status: device === 'cpu' ? 'problem' : 'missing',
    detail: report?.problem ?? 'it is unknown',
    ...omitUndefined({ advice }),
  };
}
