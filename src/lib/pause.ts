/** Pauses between tries: they grow, they differ from worker to worker, and a signal ends them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { omitUndefined } from './omit-undefined.ts';

export interface PauseRange {
  readonly firstMs: number;
  readonly maxMs: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** The pause after the n-th failure in a row (n from 1): doubled each time up to `maxMs`, then ± 25 %. */
export function growingPauseMs(failures: number, { firstMs, maxMs, random = Math.random }: PauseRange): number {
  // 2 ** 1100 would be infinite, which Math.min takes well.
  return Math.round(Math.min(firstMs * 2 ** Math.max(0, failures - 1), maxMs) * (0.75 + random() / 2));
}

/** Resolves after `ms`, or when the signal is aborted; never rejects, and leaves no listener behind. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, omitUndefined({ signal })).catch(() => undefined);
}
