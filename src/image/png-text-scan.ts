/** Finds the text chunks of a PNG that comes piece by piece, without keeping the rest. Source: PNG specification, third edition, section 5. */
import type { PngChunk } from './png-chunks.ts';

const SIGNATURE_BYTES = 8;
/** Length and type before the data, checksum after it. */
const [HEAD_BYTES, CHECKSUM_BYTES] = [8, 4];
const TEXTS: ReadonlySet<string> = new Set(['tEXt', 'zTXt', 'iTXt']);
/** A prompt has at most 64 kB; more is passed over. */
const MOST_BYTES = 1024 * 1024;

export class PngTextScan {
  readonly #chunks: PngChunk[] = [];
  /** The rest of a chunk that is passed over. */
  #skipBytes = SIGNATURE_BYTES;
  #held = Buffer.alloc(0);
  #keptBytes = 0;

  /** Those that have come whole. No checksum is compared. */
  get chunks(): readonly PngChunk[] {
    return this.#chunks;
  }

  push(piece: Uint8Array): void {
    let bytes = Buffer.concat([this.#held, piece]);
    for (;;) {
      const skipped = Math.min(this.#skipBytes, bytes.length);
      this.#skipBytes -= skipped;
      bytes = bytes.subarray(skipped);
      if (this.#skipBytes > 0 || bytes.length < HEAD_BYTES) break;
      const length = bytes.readUInt32BE(0);
      const type = bytes.toString('latin1', 4, HEAD_BYTES);
      const isText = TEXTS.has(type) && this.#keptBytes + length <= MOST_BYTES;
      if (isText && bytes.length < HEAD_BYTES + length) break;
      if (isText) {
        this.#keptBytes += length;
        this.#chunks.push({ type, data: Uint8Array.from(bytes.subarray(HEAD_BYTES, HEAD_BYTES + length)) });
      }
      this.#skipBytes = HEAD_BYTES + length + CHECKSUM_BYTES;
    }
    this.#held = bytes;
  }
}
