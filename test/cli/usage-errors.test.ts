/** Options that nobody has: the sentence names the spelling that was perhaps meant, also one that the help leaves out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommanderError } from 'commander';
import { describeUsageError } from '../../src/cli/usage-errors.ts';

for (const [typed, command, suggested, meant] of [
  ['--step', 'generate', '--seed', '--steps'],
  ['--stps', 'run', undefined, '--steps'],
  ['--sizes', 'run', undefined, '--size'],
  ['--file', 'generate', undefined, undefined],
  ['--wach', 'run', '--watch', '--watch'],
  ['--n-iter', 'generate', undefined, '--num-images'],
  ['--step', 'doctor', undefined, undefined],
] as const) {
  test(`${typed} of ${command} is answered with ${meant ?? 'no other option'}`, () => {
    const tail = suggested === undefined ? '' : `\n(Did you mean ${suggested}?)`;
    const error = new CommanderError(1, 'commander.unknownOption', `error: unknown option '${typed}'${tail}`);
    const [, found] =
      /Did you mean (--[\w-]+)\?/.exec(
        describeUsageError(error, { command, path: command, example: undefined }).message,
      ) ?? [];
    assert.equal(found, meant);
  });
}
