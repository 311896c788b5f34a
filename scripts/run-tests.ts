/**
 * `npm test` and `npm run test:unit`. Usage: run-tests.ts [--unit | --integration] [FILE or FOLDER]... [--OPTION OF node --test]...
 * Without a file: all of them. With --unit: only unit tests, held to it by `test/unit/refuse-outside.ts`. With --integration: only the others.
 */
import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { whyNoUnitTest } from '../test/unit/unit-tests.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);
const OWN_OPTIONS = ['--unit', '--integration'];
const isUnit = words.includes('--unit');
const isIntegration = words.includes('--integration');
const options = words.filter((word) => word.startsWith('-') && !OWN_OPTIONS.includes(word));
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
  const isChosen = (file: string): boolean => {
    if (!isUnit && !isIntegration) return true;
    return isUnit === (whyNoUnitTest(file) === undefined);
  };
  return all.filter(isChosen).toSorted();
}

function refuse(sentence: string): never {
  process.stderr.write(`run-tests: ${sentence} Name a file or a folder, for example test/queue/sqlite.\n`);
  process.exit(2);
}

if (isUnit && isIntegration) refuse('--unit and --integration together leave no test.');
const files = chosenFiles();
if (files.length === 0) refuse(isUnit ? 'none of these is a unit test.' : 'all of these are unit tests.');
const guard = isUnit ? ['--import', './test/unit/refuse-outside.ts'] : [];
// A test runner inside a test runner would report to the outer one.
const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
// Each test file, and each engine that it starts, removes the types of a hundred files. A cache of the result halves the processor time (measured).
const environment = { NODE_COMPILE_CACHE: resolve(root, 'node_modules/.cache/text2img'), ...inherited };
const { status } = spawnSync(process.execPath, [...guard, '--test', '--test-concurrency=2', ...options, ...files], {
  cwd: root,
  env: environment,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
