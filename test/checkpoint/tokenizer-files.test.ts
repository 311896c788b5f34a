/** Tokenizer folders that are broken, or made for another pipeline than CLIP's: each is refused with what is wrong, none draws other tokens. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { readTokenizerFiles } from '../../src/checkpoint/tokenizer-files.ts';
import { ClipTokenizer } from '../../src/pipelines/parts/clip-tokenizer.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { growthOf } from '../lib/growth.ts';

const demo = fileURLToPath(new URL('../../models/demo/tokenizer', import.meta.url));

// The file is changed in ways that its type would not allow.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

async function folderWith(t: TestContext, file: string, change: (json: Json) => unknown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-tokens-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await cp(demo, folder, { recursive: true });
  if (file !== 'tokenizer.json' && file !== 'tokenizer_config.json') await rm(join(folder, 'tokenizer.json'));
  const path = join(folder, file);
  const before = file.endsWith('.json')
    ? JSON.parse(await readFile(path, 'utf8').catch(() => '{}'))
    : await readFile(path, 'utf8');
  const after = change(before) ?? before;
  await writeFile(path, typeof after === 'string' ? after : JSON.stringify(after));
  return folder;
}

const clip = (file: Json): Json => file.pre_tokenizer.pretokenizers;

const REFUSED: readonly (readonly [
  name: string,
  file: string,
  change: (json: Json) => unknown,
  says: readonly string[],
])[] = [
  ['an id below zero', 'tokenizer.json', (f) => void (f.model.vocab['red</w>'] = -5), ['red</w>', '-5']],
  ['a fractional id', 'vocab.json', (f) => void (f['red</w>'] = 5.5), ['red</w>', '5.5']],
  ['an id beyond 32 bits', 'tokenizer.json', (f) => void (f.model.vocab['red</w>'] = 2 ** 40 + 7), ['1099511627783']],
  ['an id that is a text', 'vocab.json', (f) => void (f['red</w>'] = 'x\u001b'), ['red</w>', String.raw`x\u001b`]],
  ['an id that is nothing', 'vocab.json', (f) => void (f['red</w>'] = null), ['red</w>', 'null']],
  ['a vocabulary that is a list', 'tokenizer.json', (f) => void (f.model.vocab = ['a', 'b']), ['vocab']],
  ['merges that are a table', 'tokenizer.json', (f) => void (f.model.merges = {}), ['merges']],
  ['a merge of three', 'tokenizer.json', (f) => f.model.merges.push(['a', 'b', 'c']) && undefined, ['["a","b","c"]']],
  ['a merge of unknown tokens', 'tokenizer.json', (f) => f.model.merges.push(['zzzz', 'qq']) && undefined, ['zzzz']],
  ['a merge into an unknown token', 'merges.txt', (text: string) => `${text}\nq x`, ['qx']],
  [
    'a line of 200,000 letters in merges.txt',
    'merges.txt',
    (text: string) => `${text}\n${'x'.repeat(200_000)}`,
    ['xxx'],
  ],
  [
    'another behaviour of Split',
    'tokenizer.json',
    (f) => void (clip(f)[0].behavior = 'Contiguous'),
    ['Contiguous', 'Removed'],
  ],
  ['a Split that is not inverted', 'tokenizer.json', (f) => void (clip(f)[0].invert = false), ['false']],
  ['another pattern', 'tokenizer.json', (f) => void (clip(f)[0].pattern = { Regex: '(a+)+$' }), ['(a+)+$']],
  ['a pattern that is a string', 'tokenizer.json', (f) => void (clip(f)[0].pattern = { String: ' ' }), ['Split']],
  ['Whitespace', 'tokenizer.json', (f) => void (f.pre_tokenizer = { type: 'Whitespace' }), ['Whitespace']],
  [
    'Metaspace behind the bytes',
    'tokenizer.json',
    (f) => clip(f).push({ type: 'Metaspace' }) && undefined,
    ['Metaspace'],
  ],
  ['Punctuation', 'tokenizer.json', (f) => void (clip(f)[1] = { type: 'Punctuation' }), ['Punctuation']],
  [
    'bytes with a space in front',
    'tokenizer.json',
    (f) => void (clip(f)[1].add_prefix_space = true),
    ['add_prefix_space'],
  ],
  ['no normaliser', 'tokenizer.json', (f) => void (f.normalizer = null), ['normalizer', 'null', 'NFC']],
  ['NFKC', 'tokenizer.json', (f) => void (f.normalizer.normalizers[0].type = 'NFKC'), ['NFKC']],
  [
    'a fourth normaliser',
    'tokenizer.json',
    (f) => f.normalizer.normalizers.push({ type: 'StripAccents' }) && undefined,
    ['StripAccents'],
  ],
  ['Unigram', 'tokenizer.json', (f) => void (f.model.type = 'Unigram'), ['Unigram']],
  ['a model that is none', 'tokenizer.json', (f) => void (f.model = 'BPE'), ['"BPE"']],
  ['dropout', 'tokenizer.json', (f) => void (f.model.dropout = 0.1), ['dropout', '0.1']],
  ['another end of words', 'tokenizer.json', (f) => void (f.model.end_of_word_suffix = ''), ['end_of_word_suffix']],
  [
    'another post-processor',
    'tokenizer.json',
    (f) => void (f.post_processor = { type: 'TemplateProcessing' }),
    ['TemplateProcessing'],
  ],
  [
    'added tokens without a text',
    'tokenizer.json',
    (f) => f.added_tokens.push({ id: 5 }) && undefined,
    ['added_tokens'],
  ],
  [
    'added_tokens_decoder that is a list',
    'tokenizer_config.json',
    (f) => void (f.added_tokens_decoder = []),
    ['added_tokens_decoder'],
  ],
  [
    'added_tokens_decoder with a bad id',
    'tokenizer_config.json',
    (f) => void (f.added_tokens_decoder = { x: { content: 'y' } }),
    ['added_tokens_decoder'],
  ],
  ['added_tokens.json with a fraction', 'added_tokens.json', () => ({ '<toy>': 762.5 }), ['<toy>', '762.5']],
  ...[0, -5, 7.5, 2, '77', true].map(
    (length) =>
      [
        `model_max_length ${JSON.stringify(length)}`,
        'tokenizer_config.json',
        (f: Json) => void (f.model_max_length = length),
        ['model_max_length', JSON.stringify(length)],
      ] as const,
  ),
];

for (const [name, file, change, says] of REFUSED) {
  test(`refused: ${name} (${file})`, async (t) => {
    const folder = await folderWith(t, file, change);
    await assert.rejects(readTokenizerFiles(folder, 77), (error: unknown) => {
      assert.ok(error instanceof Text2ImgError, String(error));
      assert.equal(error.code, 'invalid_tokenizer');
      for (const text of says) assert.ok(error.message.includes(text), error.message);
      assert.ok(error.message.length <= 600);
      return true;
    });
  });
}

test('a limit below the positions counts, a larger one does not, and neither does one that was never set', async (t) => {
  for (const [stated, expected] of [
    [64, 64],
    [77, 77],
    [78, 77],
    [1e30, 77],
    [null, 77],
  ] as const) {
    const folder = await folderWith(t, 'tokenizer_config.json', (f) => void (f.model_max_length = stated));
    const files = await readTokenizerFiles(folder, 77);
    assert.equal(files.maxTokens, expected);
    assert.equal(new ClipTokenizer(files).tokenize('a red circle').inputIds.length, expected);
  }
});

test('names that every object has are ordinary words of a vocabulary and a prompt', async (t) => {
  const folder = await folderWith(t, 'tokenizer.json', (f) => f);
  const tokenizer = new ClipTokenizer(await readTokenizerFiles(folder, 77));
  for (const text of ['constructor', '__proto__', 'toString hasOwnProperty']) {
    const { inputIds } = tokenizer.tokenize(text);
    assert.ok([...inputIds].every((id) => Number.isInteger(id) && id >= 0 && id < 762));
  }
});

test('random JSON in each file of a tokenizer is read, or refused with a code of the model', async (t) => {
  const folder = await folderWith(t, 'tokenizer_config.json', (f) => f);
  const originals = new Map<string, string>();
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'])
    originals.set(file, await readFile(join(folder, file), 'utf8'));
  const keys = [
    'model',
    'normalizer',
    'pre_tokenizer',
    'added_tokens',
    'added_tokens_decoder',
    'model_max_length',
    'pad_token',
    'eos_token',
  ];
  const property = fc.asyncProperty(
    fc.constantFrom(...originals.keys()),
    fc.dictionary(fc.oneof(fc.constantFrom(...keys, '__proto__', 'constructor'), fc.string()), fc.jsonValue(), {
      maxKeys: 4,
    }),
    async (file, changes) => {
      const original = originals.get(file) as string;
      await writeFile(join(folder, file), JSON.stringify({ ...(JSON.parse(original) as object), ...changes }));
      try {
        new ClipTokenizer(await readTokenizerFiles(folder, 77)).tokenize('a red circle');
      } catch (error) {
        assert.ok(error instanceof Text2ImgError && error.fault === 'model', String(error));
      } finally {
        await writeFile(join(folder, file), original);
      }
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

test('a word that is eight times as long takes about eight times the time', async () => {
  const tokenizer = new ClipTokenizer(await readTokenizerFiles(demo, 77));
  const make = (length: number): string =>
    Array.from({ length }, (_, index) => 'abcdefghij'[(index * index) % 10]).join('');
  const ratio = growthOf({ make, use: (text) => tokenizer.tokenize(text), size: 8000, factor: 8 });
  assert.ok(ratio < 32, `${ratio} times the time for eight times the word`);
});
