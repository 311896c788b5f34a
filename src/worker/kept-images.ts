/** Images that were generated but could not be stored, by their run: uploaded without generating them when this worker claims the run again. */
import type { ResolvedGenerationRequest } from '../job/generation-request.ts';

interface EncodedImage {
  readonly imageIndex: number;
  readonly seed: number;
  readonly png: Uint8Array;
}

/** The images of a generated job that are still to store, with its warnings. */
export interface GeneratedImages {
  readonly images: readonly EncodedImage[];
  readonly warnings: readonly string[];
}

interface Kept extends GeneratedImages {
  readonly asked: string;
  readonly sizeBytes: number;
}

const DEFAULT_BUDGET_BYTES = 256 * 1024 * 1024;

export class KeptImages {
  readonly #budgetBytes: number;
  /** Oldest first. */
  readonly #byRun = new Map<string, Kept>();
  #sizeBytes = 0;

  constructor(budgetBytes = DEFAULT_BUDGET_BYTES) {
    this.#budgetBytes = budgetBytes;
  }

  /** Of the largest image; 0 where none is kept. */
  get largestBytes(): number {
    let largest = 0;
    for (const { images } of this.#byRun.values())
      for (const { png } of images) largest = Math.max(largest, png.byteLength);
    return largest;
  }

  /** The oldest ones make room. False: they are larger than the whole budget. */
  keep(runId: string, request: ResolvedGenerationRequest, generated: GeneratedImages): boolean {
    this.#forget(runId);
    const sizeBytes = generated.images.reduce((sum, { png }) => sum + png.byteLength, 0);
    if (sizeBytes > this.#budgetBytes) return false;
    for (const oldest of this.#byRun.keys()) {
      if (this.#sizeBytes + sizeBytes <= this.#budgetBytes) break;
      this.#forget(oldest);
    }
    this.#byRun.set(runId, { ...generated, asked: JSON.stringify(request), sizeBytes });
    this.#sizeBytes += sizeBytes;
    return true;
  }

  /** Given out once, and only for what was generated: a document may be edited while it waits. */
  take(runId: string, request: ResolvedGenerationRequest): GeneratedImages | undefined {
    const kept = this.#byRun.get(runId);
    this.#forget(runId);
    return kept?.asked === JSON.stringify(request) ? kept : undefined;
  }

  #forget(runId: string): void {
    const kept = this.#byRun.get(runId);
    if (kept === undefined) return;
    this.#byRun.delete(runId);
    this.#sizeBytes -= kept.sizeBytes;
  }
}
