/** What NVIDIA's driver says about a GPU, through `nvidia-smi`. */
import { spawnSync } from 'node:child_process';
import { peakBytes } from '../timing.ts';

export interface GpuFacts {
  readonly name: string;
  readonly driver: string;
  readonly memoryBytes: number;
  /** Like 9.0. */
  readonly computeCapability: string;
}

const MEBIBYTE = 2 ** 20;

/** @param device like `cuda:0` @returns undefined where the driver does not answer */
export function gpuFacts(device: string): GpuFacts | undefined {
  const [name, driver, memory, computeCapability] = query(device, 'name,driver_version,memory.total,compute_cap') ?? [];
  if (name === undefined || driver === undefined || computeCapability === undefined) return undefined;
  return { name, driver, memoryBytes: Number(memory) * MEBIBYTE, computeCapability };
}

/**
 * Memory that is in use: of the whole GPU, because the driver knows no processes inside a container. On the CPU the most that this process held.
 * @returns undefined where nobody tells
 */
export function usedMemoryBytes(device: string): number | undefined {
  if (device === 'cpu') return peakBytes();
  const [used] = query(device, 'memory.used') ?? [];
  return used === undefined ? undefined : Number(used) * MEBIBYTE;
}

function query(device: string, fields: string): readonly string[] | undefined {
  const index = device.replace('cuda:', '');
  const args = [`--query-gpu=${fields}`, '--format=csv,noheader,nounits', '-i', index];
  const { status, stdout } = spawnSync('nvidia-smi', args, { encoding: 'utf8', timeout: 30_000 });
  if (status !== 0) return undefined;
  return stdout
    .trim()
    .split(',')
    .map((value) => value.trim());
}
