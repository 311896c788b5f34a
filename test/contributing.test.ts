/** CONTRIBUTING's table "To add …, touch …" names files that are there, each command can be typed, and the version is the same in every place. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { printedHelp } from '../scripts/reading-matter.ts';
import { COMMANDS } from '../src/config/options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');

test('every file and folder that CONTRIBUTING and SECURITY name is there', () => {
  const security = readFileSync(join(root, 'SECURITY.md'), 'utf8');
  const quoted = page.matchAll(/`(?:npx node )?((?:src|test|scripts|examples|reference|docs|\.vscode)\/[\w./-]*)`/g);
  const linked = `${page}${security}`.matchAll(/\]\(([\w./-]+)\)/g);
  const names = [...quoted, ...linked].map(([, name = '']) => name);
  assert.ok(names.length > 40, `${names.length} names were found`);
  assert.deepEqual(
    names.filter((name) => !existsSync(join(root, name))),
    [],
    'correct these names in CONTRIBUTING.md or SECURITY.md: nothing of that name is there',
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
    'give each thing that others add its row in the table "To add …, touch …" of CONTRIBUTING.md, and its name in this test',
  );
  for (const [what, shownBy = ''] of rows)
    assert.match(shownBy, /`test\/[\w./-]+\.ts`/, `name the test in the last cell of "${what}" in CONTRIBUTING.md`);
});

test('npm run pages writes every page that a program writes', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const writers = globSync('scripts/write-*.ts', { cwd: root }).toSorted();
  assert.ok(writers.length > 4, `${writers.length} programs were found`);
  assert.deepEqual(
    scripts['pages']?.split(' && ').toSorted(),
    writers.map((file) => `node ${file.replaceAll('\\', '/')}`),
    'name each scripts/write-*.ts in the script "pages" of package.json',
  );
});

test('every command of the table of options can be typed and has its page of help', () => {
  const shown = printedHelp().map(({ source }) => source);
  for (const command of COMMANDS)
    assert.ok(
      shown.some((source) => `${source} `.startsWith(`text2img ${command} `)),
      `give ${command} its row in src/cli/program.ts; it has: ${shown.join(', ')}`,
    );
});

test('the version stands in package.json, and the lock file, the changelog and README say the same', () => {
  const read = (name: string): string => readFileSync(join(root, name), 'utf8');
  const { name, version } = JSON.parse(read('package.json')) as { name: string; version: string };
  const lock = JSON.parse(read('package-lock.json')) as {
    version: string;
    packages: Record<string, { version: string }>;
  };
  assert.deepEqual(
    [lock.version, lock.packages['']?.version],
    [version, version],
    'run: npm install --package-lock-only',
  );
  assert.equal(
    /^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$/m.exec(read('CHANGELOG.md'))?.[1],
    version,
    'begin CHANGELOG.md with this version',
  );
  const tarballs = [...read('README.md').matchAll(/[\w.-]+\.tgz/g)].map(([file]) => file);
  assert.deepEqual([...new Set(tarballs)], [`${name}-${version}.tgz`], 'correct the tarball in README.md');
});
