/** Help and sentences name the command as this user types it: `npx text2img` where npm started the program, for the command is not in the path there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asTyped, lineAsTyped, ownNameIn } from '../../src/cli/own-name.ts';
import { buildProgram } from '../../src/cli/program.ts';

// As npm 7 to 11 set it, for `npx text2img …`, `npm run demo` and a script of somebody's own package.
for (const script of [
  `'text2img'`,
  'text2img',
  'text2img "generate" "a b"',
  'node bin/text2img.js enqueue examples/prompts.jsonl && node bin/text2img.js run',
  'GCS_BUCKET=a text2img run',
])
  test(`a user whose npm runs ${script} types "npx text2img"`, () => {
    assert.equal(ownNameIn({ npm_lifecycle_script: script }), 'npx text2img');
  });

for (const script of [undefined, '', 'node', 'node scripts/run-tests.ts', 'node my-text2img.js', 'cd text2img-data'])
  test(`a user whose npm runs ${script ?? 'nothing'} types "text2img"`, () => {
    assert.equal(ownNameIn(script === undefined ? {} : { npm_lifecycle_script: script }), 'text2img');
  });

test('a sentence names each command as it is typed, and the program by its name', () => {
  const sentence =
    'text2img: See "text2img --help" or "text2img jobs list". Put it first: text2img run … This is text2img 1.';
  assert.equal(asTyped(sentence, 'text2img'), sentence);
  assert.equal(
    asTyped(sentence, 'npx text2img'),
    'text2img: See "npx text2img --help" or "npx text2img jobs list". Put it first: npx text2img run … This is text2img 1.',
  );
});

test('an example names the command as it is typed, behind a pipe too', () => {
  for (const [line, typed] of [
    ['text2img', 'npx text2img'],
    ['text2img generate "text2img x"', 'npx text2img generate "text2img x"'],
    ['my-script | text2img enqueue -', 'my-script | npx text2img enqueue -'],
    ['text2img-data', 'text2img-data'],
  ] as const)
    assert.equal(lineAsTyped(line, 'npx text2img'), typed);
});

test('the help of a program that npx started says "npx text2img" wherever something is typed, in 80 columns', () => {
  const program = buildProgram(() => {}, { ownName: 'npx text2img' });
  for (const command of [program, ...program.commands, ...program.commands.flatMap((group) => group.commands)]) {
    let help = '';
    command.configureOutput({ writeOut: (part) => (help += part), getOutHelpWidth: () => 80 });
    command.outputHelp();
    assert.match(help, /^Usage: npx text2img/);
    const typed = [...help.matchAll(/(?:^ {2}|"|\| |: )text2img(?: |$)/gm)].map(([found]) => found);
    assert.deepEqual(typed, [], help);
    for (const line of help.split('\n')) assert.ok(Array.from(line).length <= 80, line);
  }
});
