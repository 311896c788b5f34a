/** Previews are rare and small: which jobs somebody watches, when the next preview of each is due, and how large it may be. */

import { MAX_PREVIEW_PX, type RawImage } from '../job/raw-image.ts';

/** Between two previews of one job. */
const INTERVAL_MS = 1000;

export function isPreviewSize({ widthPx, heightPx }: RawImage): boolean {
  return Math.max(widthPx, heightPx) <= MAX_PREVIEW_PX;
}

export class WatchedJobs {
  readonly #now: () => number;
  /** When the last preview of each watched job was made. */
  readonly #previewedAtMs = new Map<string, number>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  watch(jobId: string, on: boolean): void {
    if (!on) this.forget(jobId);
    else if (!this.#previewedAtMs.has(jobId)) this.#previewedAtMs.set(jobId, -Infinity);
  }

  /** The job has ended. */
  forget(jobId: string): void {
    this.#previewedAtMs.delete(jobId);
  }

  /** Whether a preview is wanted now. True counts as made. */
  isDue(jobId: string): boolean {
    const lastMs = this.#previewedAtMs.get(jobId);
    const nowMs = this.#now();
    if (lastMs === undefined || nowMs - lastMs < INTERVAL_MS) return false;
    this.#previewedAtMs.set(jobId, nowMs);
    return true;
  }
}
