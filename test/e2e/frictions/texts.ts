/** Types every command that a text tells people to type. A command that nobody expects anything of fails. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../run-cli.ts';
import { plainCommand } from './commands-of.ts';
import type { Environment, Facts, Shell } from './shell.ts';
import { stopWorker } from './workers.ts';

export interface Expected extends Facts {
  /** What has to be there before. */
  readonly before?: (shell: Shell) => Promise<unknown> | void;
  /** Typed instead, where the text has a placeholder or an address that is somebody else's. Default: the line as it stands. */
  readonly typed?: (line: string) => string | readonly string[];
  readonly environment?: Environment;
  /** Of a command that does not end by itself: it gets SIGTERM when it has printed this. */
  readonly untilPrinted?: RegExp;
  /** Files that it makes. */
  readonly makes?: readonly string[];
  /** Why it cannot be typed on this machine, with what is therefore not tested. */
  readonly skip?: string | false;
}

/** Typed elsewhere, or nowhere. */
interface NotTyped {
  /** What is not tested here, and why. */
  readonly notTyped: string;
  /** The file of this project that types it, and the words there. */
  readonly typedBy?: readonly [file: string, words: string];
}

export type Expectations = Readonly<Record<string, Expected | NotTyped>>;

export interface Text {
  readonly name: string;
  readonly commands: readonly string[];
  readonly expectations: Expectations;
}

export function testText({ name, commands, expectations }: Text, shell: Shell): void {
  for (const line of commands) {
    const expected = expectations[plainCommand(line)];
    if (expected === undefined)
      test(`${name}: ${line}`, () =>
        assert.fail(`nothing is expected of this command; say what must come, in test/e2e/frictions/`));
    else if ('notTyped' in expected) testNotTyped(`${name}: ${line}`, expected);
    else test(`${name}: ${line}`, { skip: expected.skip ?? false }, () => typeExpected(line, expected, shell));
  }

  test(`${name}: nothing is expected of a command that it does not have`, () => {
    const known = new Set(commands.map(plainCommand));
    assert.deepEqual(
      Object.keys(expectations).filter((line) => !known.has(line)),
      [],
    );
  });
}

function testNotTyped(title: string, { notTyped, typedBy }: NotTyped): void {
  if (typedBy === undefined) return void test(title, { skip: `NOT RUN: ${notTyped}` });
  const [file, words] = typedBy;
  test(`${title} is typed by ${file}`, () => {
    assert.ok(readFileSync(join(root, file), 'utf8').includes(words), `${file} does not have ${words}; ${notTyped}`);
  });
}

async function typeExpected(line: string, expected: Expected, shell: Shell): Promise<void> {
  const { before, typed = (one) => one, environment = {}, untilPrinted, makes = [], ...facts } = expected;
  await before?.(shell);
  for (const one of [typed(line)].flat()) {
    if (untilPrinted === undefined) await shell.type(one, facts, environment);
    else await stopWorker(shell, shell.start(one, environment), untilPrinted);
  }
  for (const file of makes) assert.ok(shell.has(file), file);
}
