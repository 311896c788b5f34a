/** CONTRIBUTING's table "To add …, touch …" names files that are there, and each command that the compiler asks for is one that can be typed. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { printedHelp } from '../scripts/reading-matter.ts';
import { COMMANDS } from '../src/config/options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');

test('every file and folder that CONTRIBUTING and SECURITY name is there', () => {
  const security = readFileSync(join(root, 'SECURITY.md'), 'utf8');
  const quoted = page.matchAll(/`(?:node )?((?:src|test|scripts|examples|reference|docs|\.vscode)\/[\w./-]*)`/g);
  const linked = `${page}${security}`.matchAll(/\]\(([\w./-]+)\)/g);
  const names = [...quoted, ...linked].map(([, name = '']) => name);
  assert.ok(names.length > 40, `${names.length} names were found`);
  assert.deepEqual(
    names.filter((name) => !existsSync(join(root, name))),
    [],
  );
});

test('the table "To add …, touch …" has a row for each thing that others add, with the test that shows it', () => {
  const rows = [...page.matchAll(/^\| an? ([\w ]+) \| .* \| (.*) \|$/gm)].map(([, what, shownBy]) => [what, shownBy]);
  assert.deepEqual(
    rows.map(([what]) => what),
    [
      'request field',
      'scheduler',
      'network class',
      'family',
      'runtime',
      'store',
      'queue statement',
      'command',
      'option',
      'error code',
    ],
  );
  for (const [what, shownBy = ''] of rows) assert.match(shownBy, /`test\/[\w./-]+\.ts`/, what);
});

test('every command of the table of options can be typed and has its page of help', () => {
  const shown = printedHelp().map(({ source }) => source);
  for (const command of COMMANDS)
    assert.ok(
      shown.some((source) => `${source} `.startsWith(`text2img ${command} `)),
      `${command}: ${shown.join(', ')}`,
    );
});
