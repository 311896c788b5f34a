/**
 * Tokenizers to which tokens were added, as textual inversion saves them, and special tokens in all the places in which they are stated.
 * `added-token-vectors.json` is the output of `reference/make_added_token_vectors.py` (transformers 5.24, tokenizers 0.23).
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { readTokenizerFiles } from '../../../src/checkpoint/tokenizer-files.ts';
import { ClipTokenizer } from '../../../src/pipelines/parts/clip-tokenizer.ts';

interface Case {
  readonly name: string;
  readonly files: Readonly<Record<string, unknown>>;
  readonly added: readonly unknown[];
  readonly vectors: readonly (readonly [text: string, ids: readonly number[]])[];
}

const demo = fileURLToPath(new URL('../../../models/demo/tokenizer', import.meta.url));
const cases = JSON.parse(await readFile(new URL('added-token-vectors.json', import.meta.url), 'utf8')) as Case[];

for (const { name, files, added, vectors } of cases) {
  test(`added tokens as in transformers: ${name}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'text2img-tokens-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    await cp(demo, folder, { recursive: true });
    for (const [file, content] of Object.entries(files)) {
      if (content === null) await rm(join(folder, file));
      else await writeFile(join(folder, file), JSON.stringify(content));
    }
    if (added.length > 0) {
      const path = join(folder, 'tokenizer.json');
      const json = JSON.parse(await readFile(path, 'utf8')) as { added_tokens: unknown[] };
      json.added_tokens.push(...added);
      await writeFile(path, JSON.stringify(json));
    }
    const tokenizer = new ClipTokenizer(await readTokenizerFiles(folder, 77));
    for (const [text, ids] of vectors) {
      const padding = Array.from({ length: 77 - ids.length }, () => ids.at(-1) as number);
      assert.deepEqual([...tokenizer.tokenize(text).inputIds], [...ids, ...padding], JSON.stringify(text));
    }
  });
}
