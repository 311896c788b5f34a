/**
 * `npm test` and `npm run test:unit`. Usage: run-tests.ts [--unit] [FILE or FOLDER]... [--OPTION OF node --test]...
 * Without a file: all of them. With --unit: only unit tests, held to it by `test/unit/refuse-outside.ts`.
 */
import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { whyNoUnitTest } from '../test/unit/unit-tests.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);
const isUnit = words.includes('--unit');
const options = words.filter((word) => word.startsWith('-') && word !== '--unit');
const places = words.filter((word) => !word.startsWith('-'));

/** Test files of a file or folder, by their path from the root. @returns none where there is nothing of that name */
function filesAt(place: string): string[] {
  const path = relative(root, resolve(place)).split(sep).join('/');
  const stat = statSync(resolve(place), { throwIfNoEntry: false });
  if (stat?.isDirectory() === true)
    return globSync(`${path === '' ? '' : `${path}/`}**/*.test.ts`, { cwd: root, exclude: ['node_modules/**'] });
  return stat?.isFile() === true ? [path] : [];
}

function chosenFiles(): string[] {
  const all = (places.length === 0 ? ['test'] : places).flatMap((place) => {
    const files = filesAt(place);
    if (files.length === 0) refuse(`there is no test file at ${JSON.stringify(place)}.`);
    return files;
  });
  return all.filter((file) => !isUnit || whyNoUnitTest(file) === undefined).toSorted();
}

function refuse(sentence: string): never {
  process.stderr.write(`run-tests: ${sentence} Name a file or a folder, for example test/queue/sqlite.\n`);
  process.exit(2);
}

const files = chosenFiles();
if (files.length === 0) refuse('none of these is a unit test.');
const guard = isUnit ? ['--import', './test/unit/refuse-outside.ts'] : [];
// A test runner inside a test runner would report to the outer one.
const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
const { status } = spawnSync(process.execPath, [...guard, '--test', '--test-concurrency=2', ...options, ...files], {
  cwd: root,
  env: environment,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
