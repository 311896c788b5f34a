/**
 * Reads a `tokenizer.json` that holds CLIP's own pipeline. Any other pipeline is refused by name: it would give other tokens, and another
 * image without an error.
 * Source: transformers models/clip/tokenization_clip.py, CLIPTokenizer.__init__; convert_slow_tokenizer.py, CLIPConverter.
 */
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isRecord, own } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';

/** A token that is found in the text before it is taken apart. */
export interface AddedToken {
  readonly content: string;
  /** Found only where no letter, digit or underscore stands beside it. */
  readonly single_word: boolean;
  /** Takes the white space on its left, or right, with it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** It is looked for in the normalised text, and is normalised itself. */
  readonly normalized: boolean;
}

export interface TokenizerModel {
  readonly vocab: Readonly<Record<string, unknown>>;
  readonly merges: readonly unknown[];
  readonly addedTokens: readonly AddedToken[];
}

/** `single_word` and the like may be left out; what `normalized` is then depends on whether the token is special. */
export const addedTokenSchema = z
  .object({
    content: z.string().min(1),
    single_word: z.boolean().default(false),
    lstrip: z.boolean().default(false),
    rstrip: z.boolean().default(false),
    special: z.boolean().default(false),
    normalized: z.boolean().optional(),
  })
  .transform(({ special, normalized = !special, ...token }): AddedToken => ({ ...token, normalized }));

const WORDS = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
/** With the two marks in front since transformers 4.0, without them before. */
const WORD_PATTERNS: readonly unknown[] = [`<\\|startoftext\\|>|<\\|endoftext\\|>|${WORDS}`, WORDS];

/** The values that each part must have. Keys that are not listed do not change the tokens of a prompt. */
const NORMALIZERS = [
  { type: 'NFC' },
  { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
  { type: 'Lowercase' },
];
const MODEL = {
  type: ['BPE'],
  dropout: [null, undefined, 0],
  continuing_subword_prefix: ['', null, undefined],
  end_of_word_suffix: ['</w>'],
  fuse_unk: [false, undefined],
  byte_fallback: [false, undefined],
  ignore_merges: [false, undefined],
} as const;

/** @throws `invalid_tokenizer` */
export function readTokenizerJson(json: Readonly<Record<string, unknown>>, where: string): TokenizerModel {
  const refuse = (what: string, found: unknown, wanted: unknown): never => {
    throw new Text2ImgError(
      'invalid_tokenizer',
      `${where}: ${what} is ${quote(found)}; only CLIP's own pipeline is implemented, which has ${quote(wanted)} there.`,
    );
  };
  checkNormalizer(json['normalizer'], refuse);
  checkPreTokenizer(json['pre_tokenizer'], refuse);
  const processor = json['post_processor'];
  if (typeOf(processor) !== 'RobertaProcessing')
    refuse('the type of "post_processor"', typeOf(processor), 'RobertaProcessing');
  const model = json['model'];
  if (!isRecord(model)) return refuse('"model"', model, 'a BPE model');
  for (const [key, allowed] of Object.entries(MODEL)) {
    const value = own(model, key);
    if (!(allowed as readonly unknown[]).includes(value)) refuse(`"${key}" of "model"`, value, allowed[0]);
  }
  const { vocab, merges } = model;
  if (!isRecord(vocab)) return refuse('"vocab" of "model"', vocab, 'a table of tokens and their numbers');
  if (!Array.isArray(merges)) return refuse('"merges" of "model"', merges, 'a list of pairs of tokens');
  const added = z.array(addedTokenSchema).safeParse(json['added_tokens'] ?? []);
  if (!added.success) return refuse('"added_tokens"', json['added_tokens'], 'a list of tokens with their "content"');
  return { vocab, merges, addedTokens: added.data };
}

type Refuse = (what: string, found: unknown, wanted: unknown) => never;

function checkNormalizer(normalizer: unknown, refuse: Refuse): void {
  const steps = stepsOf(normalizer, 'normalizers');
  for (const [index, wanted] of NORMALIZERS.entries())
    if (!isAsWanted(steps[index], wanted)) refuse(`entry ${index + 1} of "normalizer"`, steps[index], wanted);
  if (steps.length > NORMALIZERS.length)
    refuse('a further entry of "normalizer"', steps[NORMALIZERS.length], 'nothing');
}

function checkPreTokenizer(preTokenizer: unknown, refuse: Refuse): void {
  const [split, bytes, ...others] = stepsOf(preTokenizer, 'pretokenizers');
  const wanted = { type: 'Split', behavior: 'Removed', invert: true };
  if (!isAsWanted(split, wanted)) {
    const { pattern: _, ...others } = isRecord(split) ? split : { type: split };
    refuse('entry 1 of "pre_tokenizer"', others, wanted);
  }
  const pattern = isRecord(split) && isRecord(split['pattern']) ? own(split['pattern'], 'Regex') : undefined;
  if (!WORD_PATTERNS.includes(pattern)) refuse('the pattern of "Split"', pattern, WORDS);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false };
  if (!isAsWanted(bytes, byteLevel)) refuse('entry 2 of "pre_tokenizer"', bytes, byteLevel);
  if (isRecord(bytes) && own(bytes, 'use_regex') === false) refuse('"use_regex" of "ByteLevel"', false, true);
  if (others.length > 0) refuse('a further entry of "pre_tokenizer"', others[0], 'nothing');
}

function stepsOf(part: unknown, key: string): readonly unknown[] {
  const steps = typeOf(part) === 'Sequence' ? own(part as Readonly<Record<string, unknown>>, key) : [part];
  return Array.isArray(steps) ? steps : [steps];
}

function typeOf(part: unknown): unknown {
  return isRecord(part) ? own(part, 'type') : part;
}

/** Every key of `wanted`, with its value. */
function isAsWanted(found: unknown, wanted: Readonly<Record<string, unknown>>): boolean {
  return (
    isRecord(found) &&
    Object.entries(wanted).every(([key, value]) => {
      const here = own(found, key);
      return isRecord(value) ? isAsWanted(here, value) : here === value;
    })
  );
}
