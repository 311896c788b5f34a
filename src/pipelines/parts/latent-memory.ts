/**
 * Whether an image fits into memory, before anything is computed: a pass of the denoising network, then decoding, whole or in the tiles that fit. An
 * image that does not fit is refused with both numbers and the size that would.
 */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { SIDE_MULTIPLE_PX } from '../../job/request-fields.ts';
import { gigabytesText } from '../../lib/gigabytes.ts';
import type { ImageSize, LoadTools, PlannedRun, RunSizes, Shortage } from '../family.ts';
import type { Precision } from './precision.ts';

export interface LatentMemoryOptions {
  readonly shortage: NonNullable<LoadTools['shortage']>;
  /** Of the autoencoder. */
  readonly precision: Precision;
  /** Of the features that images keep between the passes of feature caching. */
  readonly featureBytes: (branch: number, sizes: RunSizes) => number;
  /** How many pixels one latent is wide and high. */
  readonly scaleFactor: number;
  /** Tiles that the autoencoder may decode in, the best first; undefined: the whole image. */
  readonly tilesPx: readonly (number | undefined)[];
}

export interface PassMemory {
  /** One for an image, two with guidance. */
  readonly rows: number;
  /** Of feature caching: shallow passes need memory of their own, for the feature too. */
  readonly branch?: number;
}

export interface TileChoice {
  /** undefined: the image is decoded whole. */
  readonly tilePx: number | undefined;
  /** Why it is not the best choice. */
  readonly shortage?: Shortage;
}

export class LatentMemory {
  readonly #options: LatentMemoryOptions;

  constructor(options: LatentMemoryOptions) {
    this.#options = options;
  }

  /** @throws `out_of_memory` */
  requireRoom(size: ImageSize, pass: PassMemory): void {
    const shortage = this.#shortage(size, pass);
    if (shortage === undefined) return;
    const fitting = this.#largestFitting(size, pass);
    const advice =
      fitting === undefined
        ? 'no smaller image would fit either.'
        : `${fitting.widthPx}×${fitting.heightPx} would fit.`;
    throw new Text2ImgError(
      'out_of_memory',
      `an image of ${size.widthPx}×${size.heightPx} pixels needs up to ${gigabytesText(shortage.needBytes)}, ` +
        `and ${gigabytesText(shortage.freeBytes)} are free; ${advice}`,
    );
  }

  /** For several images in one pass, each of which fits alone. @throws `engine_out_of_memory` */
  requireBatch(size: ImageSize, pass: PassMemory): void {
    const shortage = this.#options.shortage(this.#passes(size, pass));
    if (shortage === undefined) return;
    throw new Text2ImgError(
      'engine_out_of_memory',
      `${pass.rows} rows of ${size.widthPx}×${size.heightPx} pixels in one pass need up to ${gigabytesText(shortage.needBytes)}, ` +
        `and ${gigabytesText(shortage.freeBytes)} are free.`,
    );
  }

  /** The first tiles that fit now. Where none do, the last: the image fitted when it began. @param sizeLatents height and width */
  tiles(sizeLatents: readonly [height: number, width: number]): TileChoice {
    const { shortage: shortageOf, scaleFactor } = this.#options;
    const [best, ...others] = this.#options.tilesPx;
    const shortage = shortageOf([this.#decoding(sizeLatents, best)]);
    if (shortage === undefined) return { tilePx: best };
    const smaller = others.filter((tilePx = Infinity) => tilePx < Math.max(...sizeLatents) * scaleFactor);
    const fitting = smaller.find((tilePx) => shortageOf([this.#decoding(sizeLatents, tilePx)]) === undefined);
    const tilePx = fitting ?? smaller.at(-1);
    return tilePx === undefined ? { tilePx: best } : { tilePx, shortage };
  }

  #shortage(size: ImageSize, pass: PassMemory): Shortage | undefined {
    const { shortage, tilesPx } = this.#options;
    // The last tiles need least.
    return shortage([...this.#passes(size, pass), this.#decoding(this.#latents(size), tilesPx.at(-1))], 'refuse');
  }

  /** The whole network of another branch takes the place of the first one, and needs as much. */
  #passes(size: ImageSize, { rows, branch }: PassMemory): PlannedRun[] {
    const [height, width] = this.#latents(size);
    const run = { component: 'unet', sizes: { batch: rows, height, width } };
    if (branch === undefined) return [run];
    const keptBytes = this.#options.featureBytes(branch, run.sizes);
    return [run, { ...run, graph: 'shallow', branch, keptBytes }];
  }

  #decoding([height, width]: readonly [number, number], tilePx: number | undefined): PlannedRun {
    const { precision, scaleFactor } = this.#options;
    const most = tilePx === undefined ? Infinity : Math.floor(tilePx / scaleFactor);
    const sizes = { batch: 1, height: Math.min(height, most), width: Math.min(width, most) };
    return { component: 'vae', ...precision, sizes };
  }

  #latents({ heightPx, widthPx }: ImageSize): [height: number, width: number] {
    const { scaleFactor } = this.#options;
    return [Math.floor(heightPx / scaleFactor), Math.floor(widthPx / scaleFactor)];
  }

  /** Of the same shape, in multiples of what the model generates. */
  #largestFitting({ widthPx, heightPx }: ImageSize, pass: PassMemory): ImageSize | undefined {
    const step = Math.max(SIDE_MULTIPLE_PX, this.#options.scaleFactor);
    const scaled = (px: number, share: number): number => Math.max(step, Math.floor((px * share) / step) * step);
    const longest = Math.floor(Math.max(widthPx, heightPx) / step);
    const sizeAt = (steps: number): ImageSize => {
      const share = steps / longest;
      return { widthPx: scaled(widthPx, share), heightPx: scaled(heightPx, share) };
    };
    let [fits, tooLarge] = [0, longest];
    while (tooLarge - fits > 1) {
      const middle = Math.floor((fits + tooLarge) / 2);
      if (this.#shortage(sizeAt(middle), pass) === undefined) fits = middle;
      else tooLarge = middle;
    }
    return fits === 0 ? undefined : sizeAt(fits);
  }
}
