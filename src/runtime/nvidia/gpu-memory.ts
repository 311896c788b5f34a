/** The memory of a GPU that is free now, for this program and all others together. Asked before a new size only, because the answer takes a while. */
import { execFileSync } from 'node:child_process';
import { type Environment, MEMORY_QUERY, parseMemory } from './smi.ts';
import { gpuOf } from './visible-gpus.ts';

interface GpuMemory {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

const TIMEOUT_MS = 5000;
/** A driver that does not answer is not asked again for so long: the engine waits for the answer. */
const SILENCE_MS = 60_000;
let silentUntilMs = 0;

/**
 * @param device `cuda:N` @returns undefined where nobody knows: without nvidia-smi, with instances of a GPU (MIG), or where CUDA's order
 * of the GPUs is not known
 */
export function gpuMemory(device: string, environment: Environment): GpuMemory | undefined {
  if (performance.now() < silentUntilMs) return undefined;
  try {
    const options = { timeout: TIMEOUT_MS, maxBuffer: 1_000_000, env: { ...environment } };
    const text = execFileSync('nvidia-smi', [...MEMORY_QUERY], {
      ...options,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const { memoryBytes, freeBytes, isMig } = gpuOf(device, parseMemory(text), environment) ?? {};
    if (memoryBytes === undefined || freeBytes === undefined || isMig === true) return undefined;
    return { freeBytes: Math.min(freeBytes, memoryBytes), totalBytes: memoryBytes };
  } catch {
    silentUntilMs = performance.now() + SILENCE_MS;
    return undefined;
  }
}
