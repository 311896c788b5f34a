/**
 * CLIP's tokenizer as the package brings it: a single file has none. Stored are the merges alone; the vocabulary follows from them.
 * Source: OpenAI CLIP, simple_tokenizer.py; the special tokens are those of the tokenizers on the hub (`special_tokens_map.json`).
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { END, START, type TokenizerFiles, tokenizerFilesOf } from '../tokenizer-files.ts';

/** Lies as far above `src/checkpoint/single-file/` as above `dist/checkpoint/single-file/`. */
const MERGES = fileURLToPath(new URL('../../../models/clip-tokenizer/merges.txt.gz', import.meta.url));
/** Every published CLIP reads this many tokens. */
const CLIP_TOKENS = 77;

type Words = Pick<TokenizerFiles, 'vocab' | 'merges'>;
/** Both encoders of SDXL share them. */
let words: Promise<Words> | undefined;

/** @param padToken pads a short prompt: the end mark for CLIP-L, `!` for open_clip */
export async function packagedClipTokenizer(
  padToken: '<|endoftext|>' | '!',
  maxTokens = CLIP_TOKENS,
): Promise<TokenizerFiles> {
  const mark = (content: string): Readonly<Record<string, unknown>> => ({ content, normalized: true });
  words ??= readWords();
  return tokenizerFilesOf({
    ...(await words),
    added: [],
    special: { bos_token: mark(START), eos_token: mark(END), unk_token: mark(END), pad_token: padToken },
    config: {},
    maxTokens,
  });
}

async function readWords(): Promise<Words> {
  const text = gunzipSync(await readFile(MERGES)).toString('utf8');
  const merges = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ') as [string, string]);
  return { merges, vocab: vocabularyOf(merges) };
}

/** Bytes, bytes that end a word, merges in their order, then the two marks. */
function vocabularyOf(merges: readonly (readonly [string, string])[]): ReadonlyMap<string, number> {
  const bytes = byteSymbols();
  const tokens = [
    ...bytes,
    ...bytes.map((symbol) => `${symbol}</w>`),
    ...merges.map((pair) => pair.join('')),
    START,
    END,
  ];
  return new Map(tokens.map((token, id) => [token, id]));
}

/** The symbols of the 256 bytes: printable ones stand for themselves, the others are moved above 255. */
function byteSymbols(): readonly string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const moved = all.filter((byte) => !isPrintable(byte)).map((_, index) => 256 + index);
  return [...all.filter(isPrintable), ...moved].map((code) => String.fromCodePoint(code));
}
