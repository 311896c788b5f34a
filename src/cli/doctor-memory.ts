/** The check of `text2img doctor` whether the model fits into the memory that is free, with and without `--low-memory`. */
import type { DoctorFinding } from '../engine/doctor-probes.ts';
import { gigabytesText } from '../lib/gigabytes.ts';
import { inTurnsBytes, largestOf, type MemoryNeed, togetherBytes } from '../pipelines/memory-need.ts';

export interface ModelNeeds {
  /** Of each network at this size, on a CPU. */
  readonly needs: readonly MemoryNeed[];
  readonly widthPx: number;
  readonly heightPx: number;
}

const NAME = 'model memory';

/** @param freeBytes undefined: nobody knows */
export function memoryFinding({ needs, widthPx, heightPx }: ModelNeeds, freeBytes: number | undefined): DoctorFinding {
  const [together, inTurns] = [togetherBytes(needs), inTurnsBytes(needs)];
  const need = `images of ${widthPx}×${heightPx} on the CPU need up to ${gigabytesText(together)}, or ${gigabytesText(inTurns)} with --low-memory on`;
  if (freeBytes === undefined)
    return { name: NAME, status: 'ok', detail: `${need}; this system does not say how much is free` };
  const detail = `${need}; ${gigabytesText(freeBytes)} are free`;
  const largest = largestOf(needs);
  if (largest !== undefined && largest.weightBytes > freeBytes)
    return {
      name: NAME,
      status: 'problem',
      detail: `${detail}; the weights of ${largest.network} alone have ${gigabytesText(largest.weightBytes)}`,
      advice: 'name a smaller model with --model, end other programs, or give the container more memory',
    };
  return { name: NAME, status: 'ok', detail: `${detail}${consequence({ together, inTurns, freeBytes })}` };
}

function consequence(bytes: {
  readonly together: number;
  readonly inTurns: number;
  readonly freeBytes: number;
}): string {
  if (bytes.together <= bytes.freeBytes) return '';
  if (bytes.inTurns <= bytes.freeBytes) return ', so one network at a time is in memory (--low-memory auto)';
  return ', so one network at a time is in memory, and images of this size may be decoded in tiles or refused';
}
