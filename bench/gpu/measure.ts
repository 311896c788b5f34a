/** Times passes of a network, and compares outputs. */
import { median } from '../timing.ts';
import { usedMemoryBytes } from './gpu-facts.ts';

/** Passes of one size take about so long together, at least three and at most twenty of them. */
const ENOUGH_SECONDS = 1.5;
const FEWEST_PASSES = 3;
const MOST_PASSES = 20;

export interface Timed {
  /** Until the first result at this size: what the runtime searches and compiles comes on top of the pass. */
  readonly firstSeconds: number;
  /** Median of the others. */
  readonly seconds: number;
  readonly passes: number;
}

export async function timePasses(run: () => Promise<unknown>): Promise<Timed> {
  const firstSeconds = await secondsOf(run);
  const seconds: number[] = [];
  let sum = 0;
  while (seconds.length < FEWEST_PASSES || (sum < ENOUGH_SECONDS && seconds.length < MOST_PASSES)) {
    const one = await secondsOf(run);
    seconds.push(one);
    sum += one;
  }
  return { firstSeconds, seconds: median(seconds), passes: seconds.length };
}

export async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await run();
  return (performance.now() - startMs) / 1000;
}

/** @param beforeBytes in use before this process had anything on the GPU */
export function memoryOf(device: string, beforeBytes: number | undefined): { readonly memoryBytes?: number } {
  const used = usedMemoryBytes(device);
  if (used === undefined) return {};
  return { memoryBytes: device === 'cpu' ? used : used - (beforeBytes ?? 0) };
}

export interface Difference {
  readonly largest: number;
  readonly mean: number;
  /** Of the whole range of `expected`; absent: all numbers are equal. */
  readonly psnrDb?: number;
}

/** @param range of the numbers; absent: that of `expected` */
export function differenceOf(actual: ArrayLike<number>, expected: ArrayLike<number>, range?: number): Difference {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} numbers cannot be compared with ${expected.length}`);
  let [largest, sum, squares, least, most] = [0, 0, 0, Infinity, -Infinity];
  for (let index = 0; index < expected.length; index++) {
    const wanted = expected[index] ?? Number.NaN;
    const off = Math.abs((actual[index] ?? Number.NaN) - wanted);
    // NaN is no small difference.
    if (!(off <= largest)) largest = Number.isNaN(off) ? Infinity : off;
    sum += off;
    squares += off * off;
    least = Math.min(least, wanted);
    most = Math.max(most, wanted);
  }
  const count = expected.length;
  const meanSquare = squares / count;
  const whole = range ?? most - least;
  return {
    largest,
    mean: sum / count,
    ...(meanSquare === 0 ? {} : { psnrDb: 10 * Math.log10((whole * whole) / meanSquare) }),
  };
}
