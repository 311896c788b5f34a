/** Previews are rare and small: which jobs somebody watches, when the next preview of each is due, and how large it may be. */

import { MAX_PREVIEW_PX, type RawImage } from '../job/raw-image.ts';

/** Between two previews of one job. */
const INTERVAL_MS = 1000;
/** All steps wait while a preview is made, and that of a TAESD may take longer than a step. So previews take one part of so many of the time at most. */
const PARTS = 5;

export function isPreviewSize({ widthPx, heightPx }: RawImage): boolean {
  return Math.max(widthPx, heightPx) <= MAX_PREVIEW_PX;
}

export class WatchedJobs {
  readonly #now: () => number;
  /** Of each watched job. */
  readonly #turns = new Map<string, Turn>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  watch(jobId: string, on: boolean): void {
    if (!on) this.forget(jobId);
    else if (!this.#turns.has(jobId)) this.#turns.set(jobId, { beganMs: -Infinity, dueMs: -Infinity });
  }

  /** The job has ended. */
  forget(jobId: string): void {
    this.#turns.delete(jobId);
  }

  /** Whether a preview is wanted now. After true it is being made. */
  isDue(jobId: string): boolean {
    const turn = this.#turns.get(jobId);
    const beganMs = this.#now();
    if (turn === undefined || beganMs < turn.dueMs) return false;
    this.#turns.set(jobId, { beganMs, dueMs: beganMs + INTERVAL_MS });
    return true;
  }

  /** The preview that was due is made. */
  made(jobId: string): void {
    const turn = this.#turns.get(jobId);
    if (turn === undefined) return;
    const { beganMs, dueMs } = turn;
    const nowMs = this.#now();
    const perPreview = PARTS * this.#turns.size;
    this.#turns.set(jobId, { beganMs, dueMs: Math.max(dueMs, beganMs + perPreview * (nowMs - beganMs)) });
  }
}

interface Turn {
  /** When its last preview was begun. */
  readonly beganMs: number;
  readonly dueMs: number;
}
