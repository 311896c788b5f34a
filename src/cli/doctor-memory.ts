/** The check of `text2img doctor` whether the model fits into the memory that is free, with and without `--low-memory`. */
import type { DoctorFinding } from '../engine/doctor-probes.ts';
import { gigabytesText } from '../lib/gigabytes.ts';
import { inTurnsBytes, largestOf, type MemoryNeed, togetherBytes } from '../pipelines/memory-need.ts';

export interface ModelNeeds {
  /** Of each network at this size, on a CPU. */
  readonly needs: readonly MemoryNeed[];
  /** With `--weights int8`; absent: they are meant already. */
  readonly eightBitNeeds?: readonly MemoryNeed[];
  readonly widthPx: number;
  readonly heightPx: number;
}

const NAME = 'model memory';
/** The networks need so many times as much without 8-bit weights. */
const WORTH = 1.5;

/** @param freeBytes undefined: nobody knows */
export function memoryFinding(model: ModelNeeds, freeBytes: number | undefined): DoctorFinding {
  const { needs, widthPx, heightPx } = model;
  const [together, inTurns] = [togetherBytes(needs), inTurnsBytes(needs)];
  const need = `images of ${widthPx}×${heightPx} on the CPU need up to ${gigabytesText(together)}, or ${gigabytesText(inTurns)} with --low-memory on${eightBitText(model)}`;
  if (freeBytes === undefined)
    return { name: NAME, status: 'ok', detail: `${need}; this system does not say how much is free` };
  const detail = `${need}; ${gigabytesText(freeBytes)} are free`;
  const largest = largestOf(needs);
  if (largest !== undefined && largest.weightBytes > freeBytes)
    return {
      name: NAME,
      status: 'problem',
      detail: `${detail}; the weights of ${largest.network} alone have ${gigabytesText(largest.weightBytes)}`,
      advice: `${eightBitAdvice(model, freeBytes)}name a smaller model with --model, end other programs, or give the container more memory`,
    };
  return { name: NAME, status: 'ok', detail: `${detail}${consequence({ together, inTurns, freeBytes })}` };
}

/** Where it is worth its smaller precision. */
function eightBitText({ needs, eightBitNeeds = needs }: ModelNeeds): string {
  const [float, eightBit] = [togetherBytes(needs), togetherBytes(eightBitNeeds)];
  return eightBit * WORTH > float ? '' : `, or ${gigabytesText(eightBit)} with --weights int8`;
}

function eightBitAdvice({ eightBitNeeds }: ModelNeeds, freeBytes: number): string {
  const largest = eightBitNeeds === undefined ? undefined : largestOf(eightBitNeeds);
  return largest !== undefined && largest.weightBytes <= freeBytes ? 'use --weights int8, ' : '';
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
