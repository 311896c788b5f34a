/**
 * Decides how many images may share a pass. At first the model sets the limit. When the engine runs out of memory, the limit becomes half of what was
 * too much. The limit counts pixels, so that a failure at 1024 × 1024 does not slow 512 × 512 down.
 */
import type { ModelFacts } from '../job/model-facts.ts';
import type { Logger } from '../observability/logger.ts';

export interface PassShape {
  /** Of the largest image. */
  readonly pixels: number;
  /** That were in the pass. */
  readonly images: number;
}

export class BatchBudget {
  readonly #logger: Logger;
  #maxPixels = Infinity;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The most images of this size per pass; at least one. */
  imagesPerPass({ maxBatchImages }: Pick<ModelFacts, 'maxBatchImages'>, pixels: number): number {
    return Math.max(1, Math.min(maxBatchImages, Math.floor(this.#maxPixels / pixels)));
  }

  /** A pass ran out of memory. False: it was a single image, so there is nothing to halve. */
  halve({ pixels, images }: PassShape): boolean {
    if (images <= 1) return false;
    const allowed = Math.floor(images / 2);
    this.#maxPixels = allowed * pixels;
    this.#logger.warning('the batch was too large for the memory; it is halved and retried', {
      images,
      allowed,
      pixels,
    });
    return true;
  }
}
