/** Measuring: runs after a warm-up, medians, resident memory. */
import { readFileSync } from 'node:fs';

/** Seconds of each of `count` runs after one that is not counted. */
export async function timeRuns(count: number, run: () => Promise<unknown>): Promise<number[]> {
  await run();
  const seconds: number[] = [];
  for (let index = 0; index < count; index++) {
    const startMs = performance.now();
    await run();
    seconds.push((performance.now() - startMs) / 1000);
  }
  return seconds;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** This process's resident bytes, mapped pages included. */
export function residentBytes(): number {
  return statusBytes('VmRSS');
}

/** Its resident bytes that belong to no file. */
export function anonymousBytes(): number {
  return statusBytes('RssAnon');
}

/** The most that the resident bytes have been. */
export function peakBytes(): number {
  return statusBytes('VmHWM');
}

function statusBytes(key: 'VmRSS' | 'VmHWM' | 'RssAnon'): number {
  const line = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}
