/**
 * Decides how many images may share a pass. At first the model sets the limit. When the engine runs out of memory, the limit becomes half of what was
 * too much. The limit counts pixels, so that a failure at 1024 × 1024 does not slow 512 × 512 down. It is kept for a day, across restarts too.
 */
import type { ModelFacts } from '../job/model-facts.ts';
import type { Logger } from '../observability/logger.ts';
import { isFresh, type KeptLimit, keptLimits, type KeptLimits } from './kept-limits.ts';

export interface PassShape {
  /** Of the largest image. */
  readonly pixels: number;
  /** That were in the pass. */
  readonly images: number;
}

export class BatchBudget {
  readonly #logger: Logger;
  readonly #folder: string | null;
  /** undefined: the model is not known yet, or nothing is kept. */
  #kept: KeptLimits | undefined;
  #limit: KeptLimit | undefined;

  /** @param folder where limits are kept; null: nowhere */
  constructor(logger: Logger, folder: string | null = null) {
    this.#logger = logger;
    this.#folder = folder;
  }

  /** Takes what earlier processes found out about the model; further calls have no effect. */
  remember(facts: ModelFacts): void {
    if (this.#folder === null || this.#kept !== undefined) return;
    this.#kept = keptLimits(this.#folder, facts);
    this.#limit ??= this.#kept.read();
  }

  /** The most images of this size per pass; at least one. */
  imagesPerPass({ maxBatchImages }: Pick<ModelFacts, 'maxBatchImages'>, pixels: number): number {
    if (this.#limit !== undefined && !isFresh(this.#limit)) this.#limit = undefined;
    return Math.max(1, Math.min(maxBatchImages, Math.floor((this.#limit?.max_pixels ?? Infinity) / pixels)));
  }

  /** A pass ran out of memory. False: it was a single image, so there is nothing to halve. */
  halve({ pixels, images }: PassShape): boolean {
    if (images <= 1) return false;
    const allowed = Math.floor(images / 2);
    this.#limit = { max_pixels: allowed * pixels, at_ms: Date.now() };
    this.#kept?.keep(this.#limit);
    this.#logger.warning('the batch was too large for the memory; it is halved and retried', {
      images,
      allowed,
      pixels,
    });
    return true;
  }
}
