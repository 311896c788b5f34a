/**
 * Reads a tokenizer folder: vocabulary, merges, added tokens (textual inversion adds some), special tokens, and the maximum length of a prompt.
 * Vocabulary and merges come from `tokenizer.json`, or from `vocab.json` and `merges.txt`.
 * Source: transformers tokenization_utils_base.py, _from_pretrained (which file wins), and tried against transformers 5.23 and 5.24 file by file.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isRecord, own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import type { TokenizerClass } from './component-spec.ts';
import { readJsonFile, readTextFile } from './json-file.ts';
import { type AddedToken, addedTokenSchema, readTokenizerJson, type TokenizerModel } from './tokenizer-json.ts';

export interface TokenizerFiles {
  readonly vocab: ReadonlyMap<string, number>;
  /** Pairs of tokens, the most important first. */
  readonly merges: readonly (readonly [string, string])[];
  /** With their ids. */
  readonly addedTokens: readonly (AddedToken & { readonly id: number })[];
  readonly bosToken: string;
  readonly eosToken: string;
  readonly unkToken: string;
  /** Pads a short prompt. */
  readonly padToken: string;
  /** Tokens of a prompt with start, end and padding. */
  readonly maxTokens: number;
  /** The largest id that a prompt can contain; the text encoder's table must be larger. */
  readonly maxTokenId: number;
}

export const START = '<|startoftext|>';
export const END = '<|endoftext|>';
const MAX_ID = 2 ** 24;
/** Start, end, and one token of the prompt. */
const LEAST_TOKENS = 3;

/** Every published CLIP reads this many tokens. */
const CLIP_TOKENS = 77;

type Json = Readonly<Record<string, unknown>>;

/** CLIP's tokenizer as transformers saves it, slow or fast. */
export const CLIP_TOKENIZER: TokenizerClass<TokenizerFiles> = {
  classNames: ['CLIPTokenizer', 'CLIPTokenizerFast'],
  fileSets: [['tokenizer.json'], ['vocab.json', 'merges.txt']],
  otherFiles: ['added_tokens.json', 'tokenizer_config.json', 'special_tokens_map.json'],
  read: (folder, maxTokens = CLIP_TOKENS) => readTokenizerFiles(folder, maxTokens),
};

/** @param maxPositions the text encoder's, when the tokenizer states no limit @throws `invalid_tokenizer`, `model_not_found`, `invalid_config` */
export async function readTokenizerFiles(folder: string, maxPositions: number): Promise<TokenizerFiles> {
  const config = (await readOptional(join(folder, 'tokenizer_config.json'))) ?? {};
  const special = (await readOptional(join(folder, 'special_tokens_map.json'))) ?? {};
  const model = await readModel(folder);
  const files = tokenizerFilesOf({
    vocab: model.vocab,
    merges: model.merges,
    added: await addedTokens(folder, config, model.stated),
    special,
    config,
    maxTokens: maxTokensOf(config, maxPositions, folder),
  });
  checkMerges(files, model.where);
  return files;
}

export interface TokenizerParts extends Pick<TokenizerFiles, 'vocab' | 'merges' | 'maxTokens'> {
  /** Without the special ones. */
  readonly added: readonly AddedToken[];
  /** `special_tokens_map.json` */
  readonly special: Json;
  /** `tokenizer_config.json` */
  readonly config: Json;
}

/** As transformers joins the files of a tokenizer. */
export function tokenizerFilesOf({ vocab, merges, added, special, config, maxTokens }: TokenizerParts): TokenizerFiles {
  const token = (key: string): string => tokenText(own(special, key)) ?? tokenText(own(config, key)) ?? END;
  const addedTokens = withIds([...added, ...specialTokens(special, config)], vocab);
  return {
    vocab,
    merges,
    addedTokens,
    bosToken: tokenText(own(special, 'bos_token')) ?? tokenText(own(config, 'bos_token')) ?? START,
    eosToken: token('eos_token'),
    unkToken: token('unk_token'),
    padToken: token('pad_token'),
    maxTokens,
    maxTokenId: [...vocab.values(), ...addedTokens.map(({ id }) => id)].reduce((max, id) => Math.max(max, id), 0),
  };
}

/** Tokenizers that never had a limit are saved with 1e30. @throws `invalid_tokenizer` */
function maxTokensOf(config: Json, maxPositions: number, folder: string): number {
  const stated = own(config, 'model_max_length') ?? maxPositions;
  if (typeof stated === 'number' && stated > maxPositions) return maxPositions;
  if (typeof stated === 'number' && Number.isInteger(stated) && stated >= LEAST_TOKENS) return stated;
  throw new Text2ImgError(
    'invalid_tokenizer',
    `${join(folder, 'tokenizer_config.json')}: "model_max_length" is ${quote(stated)}; allowed are whole numbers from ${LEAST_TOKENS}.`,
  );
}

interface ReadModel {
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [string, string])[];
  /** The tokens that `tokenizer.json` adds; undefined without that file. */
  readonly stated: readonly AddedToken[] | undefined;
  /** The file, for messages. */
  readonly where: string;
}

async function readModel(folder: string): Promise<ReadModel> {
  const path = join(folder, 'tokenizer.json');
  const json = await readOptional(path);
  if (json !== undefined) {
    const model = readTokenizerJson(json, path);
    return {
      vocab: vocabularyOf(model.vocab, path),
      merges: mergesOf(model, path),
      stated: model.addedTokens,
      where: path,
    };
  }
  const [vocabPath, mergesPath] = [join(folder, 'vocab.json'), join(folder, 'merges.txt')];
  const vocab = await readOptional(vocabPath);
  const text = await readOptionalText(mergesPath);
  if (vocab === undefined || text === undefined) {
    throw new Text2ImgError(
      'invalid_tokenizer',
      `the tokenizer folder ${quote(folder)} has neither tokenizer.json nor both vocab.json and merges.txt.`,
    );
  }
  const merges = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version'));
  return {
    vocab: vocabularyOf(vocab, vocabPath),
    merges: mergesOf({ merges }, mergesPath),
    stated: undefined,
    where: mergesPath,
  };
}

function vocabularyOf(table: Json, where: string): ReadonlyMap<string, number> {
  const vocab = new Map<string, number>();
  for (const [text, id] of Object.entries(table)) {
    if (!(typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < MAX_ID)) {
      throw new Text2ImgError(
        'invalid_tokenizer',
        `${where}: the id of the token ${quote(text)} is ${quote(id)}; allowed are whole numbers from 0 to ${MAX_ID - 1}.`,
      );
    }
    vocab.set(text, id);
  }
  return vocab;
}

/** A merge stands as "a b" or as ["a", "b"]. */
function mergesOf({ merges }: Pick<TokenizerModel, 'merges'>, where: string): (readonly [string, string])[] {
  return merges.map((merge) => {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    if (Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string'))
      return [pair[0] as string, pair[1] as string] as const;
    throw new Text2ImgError('invalid_tokenizer', `${where}: ${quote(merge)} is not a pair of tokens.`);
  });
}

/** As the Rust library does when it loads them. @throws `invalid_tokenizer` */
function checkMerges({ vocab, merges, unkToken, addedTokens }: Omit<TokenizerFiles, 'maxTokens'>, where: string): void {
  for (const [left, right] of merges) {
    const missing = [left, right, left + right].find((text) => !vocab.has(text));
    if (missing === undefined) continue;
    throw new Text2ImgError(
      'invalid_tokenizer',
      `${where}: the merge of ${quote(left, 40)} and ${quote(right, 40)} needs the token ${quote(missing, 40)}, which is not in the vocabulary.`,
    );
  }
  if (vocab.has(unkToken) || addedTokens.some(({ content }) => content === unkToken)) return;
  throw new Text2ImgError(
    'invalid_tokenizer',
    `${where}: the vocabulary lacks ${quote(unkToken)}, which stands for unknown text.`,
  );
}

/**
 * `added_tokens_decoder` of `tokenizer_config.json` is the whole list where it is there; without it `tokenizer.json` and `added_tokens.json` have
 * it.
 */
async function addedTokens(
  folder: string,
  config: Json,
  stated: readonly AddedToken[] | undefined,
): Promise<readonly AddedToken[]> {
  const decoder = own(config, 'added_tokens_decoder');
  if (decoder !== undefined) return decoderTokens(decoder, join(folder, 'tokenizer_config.json'));
  const path = join(folder, 'added_tokens.json');
  const listed = Object.entries((await readOptional(path)) ?? {});
  const bad = listed.find(([text, id]) => text === '' || !Number.isInteger(id));
  if (bad !== undefined)
    throw new Text2ImgError(
      'invalid_tokenizer',
      `${path}: the id of the token ${quote(bad[0])} is ${quote(bad[1])}; a whole number is needed.`,
    );
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: true };
  const inOrder = listed.toSorted(([, a], [, b]) => Number(a) - Number(b));
  return [...(stated ?? []), ...inOrder.map(([content]) => ({ content, ...plain }))];
}

function decoderTokens(decoder: unknown, where: string): readonly AddedToken[] {
  const read = z.record(z.string().regex(/^\d{1,9}$/), addedTokenSchema).safeParse(decoder);
  if (!read.success)
    throw new Text2ImgError(
      'invalid_tokenizer',
      `${where}: "added_tokens_decoder" is ${quote(decoder)}; allowed is a table of ids and tokens with their "content".`,
    );
  return Object.entries(read.data)
    .toSorted(([a], [b]) => Number(a) - Number(b))
    .map(([, token]) => token);
}

/** Special tokens are found in a prompt as they stand there. Where two say the same text, the later one counts. */
function specialTokens(special: Json, config: Json): readonly AddedToken[] {
  const tokens = new Map<string, AddedToken>();
  for (const key of ['bos_token', 'eos_token', 'unk_token', 'pad_token'])
    addSpecial(own(special, key) ?? own(config, key), tokens);
  for (const key of ['additional_special_tokens', 'extra_special_tokens']) {
    const list = own(special, key) ?? own(config, key);
    if (Array.isArray(list)) for (const token of list) addSpecial(token, tokens);
  }
  for (const content of [START, END]) if (!tokens.has(content)) addSpecial(content, tokens);
  return [...tokens.values()];
}

function addSpecial(value: unknown, tokens: Map<string, AddedToken>): void {
  const token = addedTokenSchema.safeParse(typeof value === 'string' ? { content: value, special: true } : value);
  if (token.success) tokens.set(token.data.content, token.data);
}

/** A token of the vocabulary keeps its id. Others get the next ids; the ids in their files do not count. The first of the same text counts. */
function withIds(tokens: readonly AddedToken[], vocab: ReadonlyMap<string, number>): TokenizerFiles['addedTokens'] {
  const known = new Map<string, AddedToken & { readonly id: number }>();
  let next = vocab.size;
  for (const token of tokens) {
    if (known.has(token.content)) continue;
    known.set(token.content, { ...token, id: vocab.get(token.content) ?? next++ });
  }
  return [...known.values()];
}

/** A token stands as a string or as an object with its text. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const content = isRecord(value) ? own(value, 'content') : undefined;
  return typeof content === 'string' ? content : undefined;
}

async function readOptional(path: string): Promise<Json | undefined> {
  return existsSync(path) ? await readJsonFile(path) : undefined;
}

async function readOptionalText(path: string): Promise<string | undefined> {
  return existsSync(path) ? await readTextFile(path) : undefined;
}
