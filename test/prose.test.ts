/** README, docs/, ARCHITECTURE, the help, errors, logs and comments keep the rules of plain English that a program can count (`npx node scripts/measure-prose.ts --all` lists what breaks them). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureProse, MOST_WORDS, passagesOf } from '../scripts/prose.ts';
import {
  commentPassages,
  helpPassages,
  pagePassages,
  pagesForDevelopers,
  pagesForUsers,
  printedHelp,
  sourcePassages,
} from '../scripts/reading-matter.ts';

const MOST_MEAN_WORDS = 15;
const MOST_COLUMNS = 80;
const ADVICE =
  'make these sentences shorter, or take the word that is named; npx node scripts/measure-prose.ts --all lists them';

const pages = await pagePassages(await pagesForUsers());

for (const [name, passages] of [
  ['README and docs', pages],
  ['the help', helpPassages()],
  ['errors, logs and advice', await sourcePassages()],
  ['the comments of src/', await commentPassages()],
  ['ARCHITECTURE and decisions', await pagePassages(await pagesForDevelopers())],
] as const) {
  const { sentences, meanWords, long, forbidden } = measureProse(passages);

  test(`sentences of ${name} have at most ${MOST_MEAN_WORDS} words on average and ${MOST_WORDS} at most`, () => {
    assert.ok(sentences > 50, `${sentences} sentences were found`);
    assert.ok(meanWords <= MOST_MEAN_WORDS, `${meanWords} words on average: ${ADVICE}`);
    assert.deepEqual(long, [], ADVICE);
  });

  test(`${name} use the glossary’s words`, () => {
    assert.deepEqual(forbidden, [], ADVICE);
  });
}

test('the help of every command fits into 80 columns', () => {
  const commands = printedHelp();
  assert.ok(commands.length > 15);
  for (const { source, text } of commands)
    for (const line of text.split('\n'))
      assert.ok(Array.from(line).length <= MOST_COLUMNS, `shorten this line of the help of ${source}: ${line}`);
});

test('every command has an example in its help, and shows its options in groups', () => {
  for (const { source, text } of printedHelp().filter((help) => help.source !== 'text2img')) {
    assert.match(text, /\nExamples:\n {2}\S/, `${source}: add an example in src/cli/help-texts.ts`);
    if (text.includes('--json')) assert.match(text, /\nOutput and logs:\n[\s\S]*--json[\s\S]*-h, --help/, source);
  }
});

const count = (text: string): ReturnType<typeof measureProse> => measureProse(passagesOf('page', text));
const words = (length: number): string => Array.from({ length }, () => 'word').join(' ');

test('the measure finds a sentence that is too long, wherever it stands', () => {
  const long = words(MOST_WORDS + 1);
  for (const text of [`A b. ${long}. C d.`, `- ${long}`, `| a | ${long} |`, `# ${long}`, `a\n${long}`]) {
    assert.equal(count(text).long.length, 1, text);
  }
  assert.deepEqual(count(`${words(MOST_WORDS)}. Then ${words(3)}.`).long, []);
});

test('the measure counts a code span, a flag and an address as one word, and skips code blocks', () => {
  const { sentences, meanWords } = count(
    'Run `text2img run --watch` with --json at https://a.example/b.c now.\n\n```\n$ a b c\n```\n',
  );
  assert.deepEqual([sentences, meanWords], [1, 7]);
});

test('the measure finds words that another word stands for, but not in names', () => {
  for (const text of ['It draws an image.', 'A picture.', 'What was owed is sent.', 'The webhook is given up.'])
    assert.ok(count(text).forbidden.length > 0, text);
  assert.deepEqual(count('Say `picture` or --heartbeat-file. What is a job?').forbidden, []);
});

test('cells of tables count for the longest sentence, not for the mean', () => {
  assert.equal(count(`| one | two |\n|---|---|\n\n${words(10)}.`).meanWords, 10);
});
