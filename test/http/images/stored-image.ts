/** An image of a job whose pieces a test chooses, and that counts how often it is open. */
import type { StoredImage } from '../../../src/http/front/front.ts';

export interface StoredImageOptions {
  readonly index?: number;
  readonly seed?: number;
  readonly pieces: readonly Uint8Array[];
  /** Thrown behind the pieces. */
  readonly trouble?: Error;
  readonly onOpen?: () => void;
}

export function storedImage({
  index = 0,
  seed = 7,
  pieces,
  trouble,
  onOpen,
}: StoredImageOptions): StoredImage & { readonly openNow: number } {
  let openNow = 0;
  const bytes = Buffer.concat(pieces);
  return {
    index,
    seed,
    name: `generated/j1-${index}.png`,
    get openNow() {
      return openNow;
    },
    async open() {
      onOpen?.();
      openNow++;
      return {
        sizeBytes: bytes.length,
        md5: undefined,
        metadata: undefined,
        generation: '1',
        async *pieces() {
          yield* pieces;
          if (trouble !== undefined) throw trouble;
        },
        async [Symbol.asyncDispose]() {
          openNow--;
        },
      };
    },
  };
}
