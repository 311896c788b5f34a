/**
 * Reads a tokenizer folder: `tokenizer.json` as it is, or `vocab.json` and `merges.txt` put into the form that CLIP's fast tokenizer has.
 * Source: transformers convert_slow_tokenizer.py, CLIPConverter (normaliser, pattern, post-processor).
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { readJsonFile } from './json-file.ts';

export interface TokenizerFiles {
  /** In the layout of the Hugging Face tokenizers library. */
  readonly tokenizerJson: Readonly<Record<string, unknown>>;
  readonly bosToken: string;
  readonly eosToken: string;
  /** What fills a short prompt up. */
  readonly padToken: string;
  /** Tokens of a prompt with start, end and padding. */
  readonly maxTokens: number;
}

const START = '<|startoftext|>';
const END = '<|endoftext|>';
const WORDS = "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

const vocabularySchema = z.record(z.string(), z.int().nonnegative());

/** @param maxPositions the text encoder's, when the tokenizer states no limit @throws `invalid_tokenizer`, `model_not_found`, `invalid_config` */
export async function readTokenizerFiles(folder: string, maxPositions: number): Promise<TokenizerFiles> {
  const config = await readOptional(join(folder, 'tokenizer_config.json'));
  const special = await readOptional(join(folder, 'special_tokens_map.json'));
  const tokenizerPath = join(folder, 'tokenizer.json');
  const tokenizerJson = existsSync(tokenizerPath) ? await readJsonFile(tokenizerPath) : await fromVocabulary(folder);
  const token = (key: string, fallback: string): string =>
    tokenText(special[key]) ?? tokenText(config[key]) ?? fallback;
  const stated = config['model_max_length'];
  // Tokenizers that never had a limit are saved with 1e30.
  const maxTokens = typeof stated === 'number' && stated <= maxPositions ? stated : maxPositions;
  return {
    tokenizerJson,
    bosToken: token('bos_token', START),
    eosToken: token('eos_token', END),
    padToken: token('pad_token', END),
    maxTokens,
  };
}

async function readOptional(path: string): Promise<Readonly<Record<string, unknown>>> {
  return existsSync(path) ? readJsonFile(path) : {};
}

/** A token stands as a string or as an object with its text. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && 'content' in value && typeof value.content === 'string')
    return value.content;
  return undefined;
}

async function fromVocabulary(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const [vocabPath, mergesPath] = [join(folder, 'vocab.json'), join(folder, 'merges.txt')];
  if (!existsSync(vocabPath) || !existsSync(mergesPath)) {
    throw new Text2ImgError(
      'invalid_tokenizer',
      `the tokenizer folder ${folder} has neither tokenizer.json nor both vocab.json and merges.txt.`,
    );
  }
  const vocab = vocabularySchema.safeParse(await readJsonFile(vocabPath));
  if (!vocab.success)
    throw new Text2ImgError('invalid_tokenizer', `${vocabPath} is not a table of tokens and their whole numbers.`);
  const start = vocab.data[START];
  const end = vocab.data[END];
  if (start === undefined || end === undefined)
    throw new Text2ImgError(
      'invalid_tokenizer',
      `${vocabPath} lacks "${START}" or "${END}", which CLIP's prompts begin and end with.`,
    );
  const lines = (await readFile(mergesPath, 'utf8'))
    .split(/\r?\n/)
    .filter((line) => line !== '' && !line.startsWith('#version'));
  const merges = lines.map((line) => line.split(' '));
  const broken = merges.findIndex((pair) => pair.length !== 2);
  if (broken !== -1)
    throw new Text2ImgError('invalid_tokenizer', `${mergesPath}: "${lines[broken]}" is not a pair of tokens.`);
  return clipTokenizerJson({ vocab: vocab.data, merges, start, end });
}

interface Vocabulary {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly string[])[];
  readonly start: number;
  readonly end: number;
}

function clipTokenizerJson({ vocab, merges, start, end }: Vocabulary): Readonly<Record<string, unknown>> {
  const addedToken = (content: string, id: number): object => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [addedToken(START, start), addedToken(END, end)],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: 'RobertaProcessing',
      sep: [END, end],
      cls: [START, start],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: END,
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}
