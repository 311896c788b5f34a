/**
 * CLIP's tokenizer: text in, token ids out, padded and cut to the encoder's length.
 * The order is the Rust library's. First come added tokens that stand in the text, then NFC, white space and lower case. Then come added tokens in
 * the normalised text, then words, bytes and merges.
 * Source: diffusers pipelines/stable_diffusion/pipeline_stable_diffusion.py, encode_prompt (padding, truncation, the warning); transformers
 * models/clip/tokenization_clip.py.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { AddedTokenFinder, type FoundToken, type Piece } from './added-tokens.ts';

export interface ClipTokenizerOptions {
  readonly vocab: ReadonlyMap<string, number>;
  /** The most important first. */
  readonly merges: readonly (readonly [string, string])[];
  readonly addedTokens: readonly (FoundToken & {
    /** Looked for in the normalised text. */
    readonly normalized: boolean;
  })[];
  readonly bosToken: string;
  readonly eosToken: string;
  readonly unkToken: string;
  readonly padToken: string;
  readonly maxTokens: number;
}

export interface TokenizedPrompt {
  /** [maxTokens] */
  readonly inputIds: Int32Array;
  /** The part of the prompt that did not fit, as the tokenizer reads it back. */
  readonly cutText: string | undefined;
}

export class ClipTokenizer {
  readonly maxTokens: number;
  /** Words to ids; knows no added tokens. */
  readonly #words: Tokenizer;
  readonly #inText: AddedTokenFinder;
  readonly #inNormalized: AddedTokenFinder;
  readonly #addedById: ReadonlyMap<number, string>;
  readonly #startId: number;
  readonly #endId: number;
  readonly #padId: number;

  /** @throws `invalid_tokenizer` */
  constructor({ vocab, merges, addedTokens, unkToken, maxTokens, ...names }: ClipTokenizerOptions) {
    this.maxTokens = maxTokens;
    try {
      this.#words = new Tokenizer(wordTokenizer(vocab, merges, unkToken), {});
    } catch (error) {
      throw new Text2ImgError('invalid_tokenizer', `the tokenizer cannot be built: ${messageOf(error)}.`, {
        cause: error,
      });
    }
    const idOf = (what: string, text: string): number => {
      const id = addedTokens.find(({ content }) => content === text)?.id ?? vocab.get(text);
      if (id !== undefined) return id;
      throw new Text2ImgError(
        'invalid_tokenizer',
        `the tokenizer's ${what} token ${quote(text)} is not in its vocabulary.`,
      );
    };
    this.#startId = idOf('start', names.bosToken);
    this.#endId = idOf('end', names.eosToken);
    this.#padId = idOf('padding', names.padToken);
    this.#addedById = new Map(addedTokens.map(({ id, content }) => [id, content]));
    this.#inText = new AddedTokenFinder(
      addedTokens.filter(({ normalized }) => !normalized),
      (content) => content,
    );
    this.#inNormalized = new AddedTokenFinder(
      addedTokens.filter(({ normalized }) => normalized),
      normalize,
    );
  }

  tokenize(text: string): TokenizedPrompt {
    const ids = this.#encode(text);
    const inputIds = new Int32Array(this.maxTokens).fill(this.#padId);
    inputIds[0] = this.#startId;
    const kept = ids.slice(0, this.maxTokens - 2);
    inputIds.set(kept, 1);
    inputIds[kept.length + 1] = this.#endId;
    return { inputIds, cutText: ids.length === kept.length ? undefined : this.#decode(ids.slice(kept.length)) };
  }

  /** How many tokens the whole text has, without start and end: also those that `tokenize` cuts off. */
  count(text: string): number {
    return this.#encode(text).length;
  }

  /** Without start and end. */
  #encode(text: string): number[] {
    const idsOf = (piece: Piece, ofText: (part: string) => number[]): number[] =>
      typeof piece === 'string' ? ofText(piece) : [piece.id];
    // An empty text is no word, and the library would take it for one.
    const words = (part: string): number[] => (part.trim() === '' ? [] : this.#words.encode(part).ids);
    const normalized = (part: string): number[] =>
      this.#inNormalized.split(normalize(part)).flatMap((piece) => idsOf(piece, words));
    return this.#inText.split(text).flatMap((piece) => idsOf(piece, normalized));
  }

  #decode(ids: readonly number[]): string {
    let text = '';
    let run: number[] = [];
    const flush = (): void => {
      if (run.length > 0) text += this.#words.decode(run);
      run = [];
    };
    for (const id of ids) {
      const added = this.#addedById.get(id);
      if (added === undefined) run.push(id);
      else {
        flush();
        text += added;
      }
    }
    flush();
    return text.trim();
  }
}

/** The library lowers letter by letter; a whole text would make a final Σ another letter in JavaScript. */
function normalize(text: string): string {
  let lowered = '';
  for (const letter of text.normalize('NFC').replaceAll(/\p{White_Space}+/gu, ' ')) lowered += letter.toLowerCase();
  return lowered;
}

/**
 * Both patterns are written for Rust's regular expressions, whose `\s` is Unicode's White_Space. JavaScript's adds U+FEFF and lacks U+0085,
 * which gives other tokens.
 */
const WORDS =
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\p{White_Space}\\p{L}\\p{N}]+";
/** The byte-level step of the Rust library splits by this (GPT-2's pattern), for text that has no spaces left. */
const BYTE_LEVEL_WORDS = "'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}+|[^\\p{White_Space}\\p{L}\\p{N}]+";

/** In the layout of the Hugging Face tokenizers library: words, bytes and merges only. */
function wordTokenizer(
  vocab: ReadonlyMap<string, number>,
  merges: ClipTokenizerOptions['merges'],
  unkToken: string,
): Readonly<Record<string, unknown>> {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true },
        { type: 'Split', pattern: { Regex: BYTE_LEVEL_WORDS }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: null,
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unkToken,
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocab),
      merges,
    },
  };
}
