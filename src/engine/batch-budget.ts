/**
 * How many images may share a UNet pass: what the engine says, until it runs out of memory, and from then on half of what was too much.
 * Counted in pixels, so that what is too much at 1024 × 1024 does not slow 512 × 512 down.
 */
import type { Logger } from '../observability/logger.ts';

export interface BatchShape {
  /** Of the largest of them. */
  readonly pixels: number;
  readonly images: number;
}

export class BatchBudget {
  readonly #maxImages: number;
  readonly #logger: Logger;
  #maxPixels = Infinity;

  constructor({ maxImages, logger }: { readonly maxImages: number; readonly logger: Logger }) {
    this.#maxImages = maxImages;
    this.#logger = logger;
  }

  /** The most images of this size per pass; at least one. */
  imagesPerPass(pixels: number): number {
    return Math.max(1, Math.min(this.#maxImages, Math.floor(this.#maxPixels / pixels)));
  }

  /** A pass ran out of memory. False: it was a single image, there is nothing to halve. */
  halve({ pixels, images }: BatchShape): boolean {
    const tried = Math.min(images, this.imagesPerPass(pixels));
    if (tried <= 1) return false;
    const allowed = Math.floor(tried / 2);
    this.#maxPixels = allowed * pixels;
    this.#logger.warning('the batch was too large for the memory; it is halved and tried again', {
      images: tried,
      allowed,
      pixels,
    });
    return true;
  }
}
