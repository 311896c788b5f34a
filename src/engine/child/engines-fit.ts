/**
 * Whether the free memory holds all engines of a worker. Weights that come mapped out of the compile cache are in memory once, for all engines together.
 * Each engine needs memory of its own for what it computes, and for every other copy of weights. docs/decisions/several-engines.md has the measurements.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { gigabytesText } from '../../lib/gigabytes.ts';
import type { MemoryNeed } from '../../pipelines/memory-need.ts';
import type { ResidencyQuestion } from './one-at-a-time.ts';

export interface EnginesQuestion {
  /** They will share the memory. */
  readonly engines: number;
  readonly lowMemory: ResidencyQuestion['lowMemory'];
  /** Of each network at the model's default size. */
  readonly needs: readonly MemoryNeed[];
  readonly hasMappedWeights: boolean;
  /** undefined: nobody knows, so everything fits. */
  readonly freeBytes: number | undefined;
}

/** Of a Node process that has loaded ONNX Runtime 1.30, without a network. */
const PROCESS_BYTES = 100e6;

interface Share {
  /** For all engines together. */
  readonly onceBytes: number;
  readonly eachBytes: number;
}

export interface Residency {
  /** For every engine. */
  readonly lowMemory: ResidencyQuestion['lowMemory'];
  /** For the log, where `auto` chose it. */
  readonly note?: string;
}

/** @throws `invalid_option` with the largest number, where the memory does not hold so many */
export function residencyOfAll(question: EnginesQuestion): Residency {
  const { engines, lowMemory, freeBytes } = question;
  if (engines === 1 || freeBytes === undefined) return { lowMemory };
  const together = shareOf(question, false);
  if (lowMemory === 'off' || (lowMemory === 'auto' && sumOf(together, engines) <= freeBytes)) {
    refuseTooMany(together, engines, freeBytes);
    return { lowMemory: 'off' };
  }
  const inTurns = shareOf(question, true);
  refuseTooMany(inTurns, engines, freeBytes);
  if (lowMemory === 'on') return { lowMemory: 'on' };
  const note = `Each engine has one network at a time in memory (--low-memory auto). With all of them ${engines} engines need up to ${gigabytesText(sumOf(together, engines))}, and ${gigabytesText(freeBytes)} are free.`;
  return { lowMemory: 'on', note };
}

function shareOf({ needs, hasMappedWeights }: EnginesQuestion, inTurns: boolean): Share {
  const of = (bytes: readonly number[]): number =>
    inTurns ? Math.max(0, ...bytes) : bytes.reduce((sum, one) => sum + one, 0);
  const weightBytes = of(needs.map((need) => need.weightBytes));
  const computedBytes = PROCESS_BYTES + of(needs.map((need) => need.activationBytes));
  return hasMappedWeights
    ? { onceBytes: weightBytes, eachBytes: computedBytes }
    : { onceBytes: 0, eachBytes: weightBytes + computedBytes };
}

function sumOf({ onceBytes, eachBytes }: Share, engines: number): number {
  return onceBytes + engines * eachBytes;
}

function refuseTooMany(share: Share, engines: number, freeBytes: number): void {
  const { onceBytes, eachBytes } = share;
  const most = Math.max(1, Math.floor((freeBytes - onceBytes) / eachBytes));
  if (engines <= most) return;
  const parts =
    onceBytes === 0
      ? `${gigabytesText(eachBytes)} for each engine`
      : `${gigabytesText(onceBytes)} for the weights, which the engines share, and ${gigabytesText(eachBytes)} for each engine`;
  throw new Text2ImgError(
    'invalid_option',
    `--engines ${engines} needs ${gigabytesText(sumOf(share, engines))} of memory (${parts}), and ${gigabytesText(freeBytes)} are free. The largest number is ${most}.`,
  );
}
