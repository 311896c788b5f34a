/** CLIP's tokenizer on hostile strings. `tokenizer-vectors.json` is the output of `reference/make_tokenizer_vectors.py` (transformers 5.24). */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { readTokenizerFiles } from '../../../src/checkpoint/tokenizer-files.ts';
import { ClipTokenizer } from '../../../src/pipelines/parts/clip-tokenizer.ts';

type Vectors = Readonly<Record<'clip' | 'demo', readonly (readonly [text: string, ids: readonly number[]])[]>>;

const vectors = JSON.parse(await readFile(new URL('tokenizer-vectors.json', import.meta.url), 'utf8')) as Vectors;

const FOLDERS = {
  clip: '../../golden/base/tokenizer',
  demo: '../../../models/demo/tokenizer',
} as const;

for (const [name, what] of [
  ['clip', 'out of vocab.json and merges.txt'],
  ['demo', 'out of tokenizer.json'],
] as const) {
  test(`the ${name} tokenizer, read ${what}, gives the ids of transformers for ${vectors[name].length} hostile strings`, async () => {
    const files = await readTokenizerFiles(fileURLToPath(new URL(FOLDERS[name], import.meta.url)), 77);
    const tokenizer = new ClipTokenizer(files);
    for (const [text, ids] of vectors[name]) {
      const padding = Array.from({ length: 77 - ids.length }, () => ids.at(-1) as number);
      assert.deepEqual([...tokenizer.tokenize(text).inputIds], [...ids, ...padding], JSON.stringify(text));
    }
  });
}

test('a text that fits is not cut, one token more is', async () => {
  const files = await readTokenizerFiles(fileURLToPath(new URL(FOLDERS.clip, import.meta.url)), 77);
  const tokenizer = new ClipTokenizer(files);
  assert.equal(tokenizer.tokenize('cat '.repeat(75)).cutText, undefined);
  assert.equal(tokenizer.tokenize(`${'cat '.repeat(75)}dog`).cutText, 'dog');
});
