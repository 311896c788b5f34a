/** An image as its pixels: what the model makes, and what it may be given to begin with. */
export interface RawImage {
  readonly widthPx: number;
  readonly heightPx: number;
  /** 1: grey, 3: RGB, 4: RGB with alpha. */
  readonly channels: 1 | 3 | 4;
  /** Row by row, one byte a channel. */
  readonly pixels: Uint8Array;
}

/** The longest side of a preview. */
export const MAX_PREVIEW_PX = 256;
