/** Tokens of prompts, as `usage` states them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clipTokenCounter } from '../../src/app/count-tokens.ts';
import { growthOfAsync } from '../lib/growth.ts';

const count = clipTokenCounter();

test('tokens are CLIP’s, without its marks for start and end, and none are cut off', async () => {
  // .venv/bin/python -c "from transformers import CLIPTokenizer as T; t = T.from_pretrained('openai/clip-vit-large-patch14'); print([len(t(s).input_ids) - 2 for s in ('', 'a fox', 'a photograph of an astronaut riding a horse')])"
  const prompts = ['', 'a fox', 'a photograph of an astronaut riding a horse'];
  assert.deepEqual(await Promise.all(prompts.map(count)), [0, 2, 8]);
  assert.equal(await count('a fox '.repeat(200)), 400);
});

test('a long word takes time in proportion to its length', async () => {
  await count('a');
  const growth = await growthOfAsync({ use: (size) => count('a'.repeat(size)), size: 4000, factor: 4 });
  assert.ok(growth <= 8, `four times the word takes ${growth} times as long`);
});
