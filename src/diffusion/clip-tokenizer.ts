/**
 * CLIP's tokenizer: text in, token ids out, padded and cut to the encoder's length.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, encode_prompt (padding, truncation, the warning).
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { Text2ImgError } from '../errors/text2img-error.ts';

export interface ClipTokenizerOptions {
  /** In the layout of the Hugging Face tokenizers library. */
  readonly tokenizerJson: Readonly<Record<string, unknown>>;
  readonly padToken: string;
  readonly maxTokens: number;
}

export interface TokenizedPrompt {
  /** [maxTokens] */
  readonly inputIds: Int32Array;
  /** What did not fit, as the tokenizer reads it back. */
  readonly cutText: string | undefined;
}

export class ClipTokenizer {
  readonly maxTokens: number;
  readonly #tokenizer: Tokenizer;
  readonly #padId: number;

  /** @throws `invalid_tokenizer` */
  constructor({ tokenizerJson, padToken, maxTokens }: ClipTokenizerOptions) {
    this.maxTokens = maxTokens;
    try {
      this.#tokenizer = new Tokenizer(tokenizerJson, {});
    } catch (error) {
      throw new Text2ImgError(
        'invalid_tokenizer',
        `the tokenizer cannot be built: ${error instanceof Error ? error.message : String(error)}.`,
        {
          cause: error,
        },
      );
    }
    const padId = this.#tokenizer.token_to_id(padToken);
    if (padId === undefined)
      throw new Text2ImgError(
        'invalid_tokenizer',
        `the tokenizer's padding token "${padToken}" is not in its vocabulary.`,
      );
    this.#padId = padId;
  }

  tokenize(text: string): TokenizedPrompt {
    const all = this.#tokenizer.encode(text).ids;
    const inputIds = new Int32Array(this.maxTokens).fill(this.#padId);
    if (all.length <= this.maxTokens) {
      inputIds.set(all);
      return { inputIds, cutText: undefined };
    }
    const kept = this.maxTokens - 1;
    inputIds.set(all.slice(0, kept));
    inputIds[kept] = all.at(-1) as number;
    return { inputIds, cutText: this.#tokenizer.decode(all.slice(kept, -1)) };
  }
}
