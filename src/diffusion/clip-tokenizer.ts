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
      this.#tokenizer = new Tokenizer(withUnicodeSpaces(tokenizerJson), {});
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
    return { inputIds, cutText: this.#tokenizer.decode(all.slice(kept, -1)).trim() };
  }
}

/** What the byte-level step splits by in the Python library (GPT-2's pattern), for text that has no spaces left. */
const BYTE_LEVEL_WORDS = "'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}+|[^\\p{White_Space}\\p{L}\\p{N}]+";

/**
 * The file is written for Rust's regular expressions, whose `\s` is Unicode's White_Space. JavaScript's adds U+FEFF and lacks U+0085, which
 * gives other tokens: in the patterns of the file, and in the pattern that the byte-level step has built in.
 */
function withUnicodeSpaces(tokenizerJson: Readonly<Record<string, unknown>>): object {
  const { normalizer, pre_tokenizer: preTokenizer, ...others } = tokenizerJson;
  return { ...others, normalizer: translated(normalizer), pre_tokenizer: translated(preTokenizer) };
}

function translated(part: unknown): unknown {
  return JSON.parse(JSON.stringify(part ?? null), (key, value: unknown) => {
    if (key === 'Regex' && typeof value === 'string') return value.replaceAll('\\s', '\\p{White_Space}');
    if (key === 'pretokenizers' && Array.isArray(value)) return value.flatMap(splitApart);
    return value;
  });
}

function splitApart(step: Readonly<Record<string, unknown>>): readonly object[] {
  if (step['type'] !== 'ByteLevel' || step['use_regex'] === false) return [step];
  const split = { type: 'Split', pattern: { Regex: BYTE_LEVEL_WORDS }, behavior: 'Isolated', invert: false };
  return [split, { ...step, use_regex: false }];
}
