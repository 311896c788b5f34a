/** The tokenizer that the package brings is the one that repositories of the hub have in their folders. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { packagedClipTokenizer } from '../../../src/checkpoint/single-file/clip-vocabulary.ts';
import { readTokenizerFiles } from '../../../src/checkpoint/tokenizer-files.ts';

const FOLDER = fileURLToPath(new URL('../../golden/base/tokenizer', import.meta.url));

test('vocabulary, merges and special tokens are those of a tokenizer folder', async () => {
  assert.deepEqual(await packagedClipTokenizer('<|endoftext|>'), await readTokenizerFiles(FOLDER, 77));
});

test('open_clip pads with an exclamation mark, whose id is 0', async () => {
  const { padToken, vocab, addedTokens, maxTokens } = await packagedClipTokenizer('!');
  assert.deepEqual([padToken, vocab.get('!'), maxTokens], ['!', 0, 77]);
  assert.equal(addedTokens.find(({ content }) => content === '!')?.id, 0);
});
