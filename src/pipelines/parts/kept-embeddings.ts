/**
 * Keeps what a text encoder made of the last texts, so that a text that comes again is not encoded again. The empty negative prompt gains most. With
 * networks that take turns the encoder's weights are not loaded either. The result itself is kept, so images are the same bytes.
 */
import type { EncodedText } from './networks.ts';

/** Of one text encoder. A text of Stable Diffusion 1.5 has 0.24 MB, one of XL 0.24 MB and 0.4 MB: about 40 to 70 texts. */
const MAX_BYTES = 16_000_000;
/** JavaScript's own, in a `Map`, beside the numbers and the key. */
const ENTRY_BYTES = 1000;

/** All that a result depends on, beside the encoder and its weights. */
export interface KeptKey {
  /** [T]: of the text, after padding and cutting. Texts with the same tokens have the same embeddings. */
  readonly inputIds: Int32Array;
  readonly skippedLayers: number;
  /** `full`: the encoder in float32, where the usual one computes in less. */
  readonly precision: 'usual' | 'full';
}

/** Of one text encoder. */
export class KeptEmbeddings {
  readonly #maxBytes: number;
  /** The first one was used longest ago. */
  readonly #entries = new Map<string, { readonly encoded: EncodedText; readonly bytes: number }>();
  #bytes = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Never more than the limit. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Nobody may change the numbers. */
  find(key: KeptKey): EncodedText | undefined {
    const text = textOf(key);
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    this.#entries.delete(text);
    this.#entries.set(text, entry);
    return entry.encoded;
  }

  /** @param encoded a good result: it is given to every later request with this key */
  keep(key: KeptKey, encoded: EncodedText): void {
    const text = textOf(key);
    this.#drop(text);
    const bytes = ENTRY_BYTES + 2 * text.length + heldBy(encoded);
    if (bytes > this.#maxBytes) return;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
    this.#entries.set(text, { encoded, bytes });
    this.#bytes += bytes;
  }

  #drop(text: string): void {
    this.#bytes -= this.#entries.get(text)?.bytes ?? 0;
    this.#entries.delete(text);
  }
}

function textOf({ inputIds, skippedLayers, precision }: KeptKey): string {
  return `${precision} ${skippedLayers} ${inputIds.join()}`;
}

/** The whole memory behind the numbers, of which they may be a part. */
function heldBy({ hiddenStates, pooled }: EncodedText): number {
  return hiddenStates.buffer.byteLength + (pooled?.buffer.byteLength ?? 0);
}
