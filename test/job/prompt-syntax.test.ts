/** Syntax of web UIs in prompts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promptSyntaxWarning } from '../../src/job/prompt-syntax.ts';
import { growthOf } from '../lib/growth.ts';

for (const syntax of [
  '(masterpiece:1.2)',
  '(a red, big circle:0.8)',
  '(cat:2)',
  '(16:9 photo:1.5)',
  '<lora:foo:0.8>',
  '<LoRA:some name>',
  '<hypernet:x:1>',
  '{red|blue}',
  '{|very }',
  '[cat|dog]',
  '[cat:dog:0.5]',
  '[cat:0.25]',
  '[cat:10]',
  '__color__',
  '__animals/cats-1__',
]) {
  test(`${syntax} is said to be plain text`, () => {
    const warning = promptSyntaxWarning([`a photo of ${syntax}, sharp`, '']);
    assert.ok(warning?.startsWith(`${JSON.stringify(syntax)} in the prompt: read as plain text`), warning);
  });
}

test('ordinary text is not taken for syntax', () => {
  for (const text of [
    'a photo (16:9), taken (at 10:30), see (John 3:16)',
    'a [red] cat (very fat) {and} a_dog, snake_case__name, 5 < 6 > 4, <3',
    'a cat: 2 dogs; ratio 3:2; ((two)) [[one]]',
    'a sign that says "lora: yes | no"',
    '',
  ])
    assert.equal(promptSyntaxWarning([text]), undefined, text);
});

test('one sentence for all, of the negative prompt too, bounded and escaped', () => {
  const warning = promptSyntaxWarning(['(a:1.1) {b|c} '.repeat(1000), `(${'d\u009b'.repeat(60)}:1.2)`]) ?? '';
  assert.match(warning, /^"\(a:1\.1\)", "\{b\|c\}", "\(a:1\.1\)" and \d+ more in the prompt: /);
  assert.ok(warning.length < 400);
  const negative = promptSyntaxWarning(['a cat', `(${'d\u009b'.repeat(60)}:1.2)`]) ?? '';
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(negative, /[\u0000-\u001f\u007f-\u009f]/);
  assert.match(negative, /in the prompt/);
});

test('the search takes time in proportion to the prompt', () => {
  // Quadratic time would be 64 times as long.
  for (const part of ['(', '[a', '{|', '__a', '<lora:', '(a:1', '[x:']) {
    const make = (size: number): string => part.repeat(size);
    const ratio = growthOf({ make, use: (text) => promptSyntaxWarning([text]), size: 25_000, factor: 8 });
    assert.ok(ratio < 32, `${ratio} times the time for eight times ${part}`);
  }
});
