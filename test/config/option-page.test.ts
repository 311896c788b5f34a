/** docs/options.md and the tables of options say the same. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { optionPage } from '../../scripts/option-page.ts';
import { flagOf, OPTION_GROUPS, OPTION_NAMES, OPTIONS } from '../../src/config/options.ts';

const page = await readFile(new URL('../../docs/options.md', import.meta.url), 'utf8');

test('docs/options.md is what `npx node scripts/write-option-page.ts` writes', () => {
  // assert.equal would print both pages.
  assert.ok(page === optionPage(), 'docs/options.md is not what the tables say; run: npm run pages');
});

test('every option stands in one group of the help, and once in docs/options.md', () => {
  const grouped = OPTION_GROUPS.flatMap(([, options]) => Object.entries(options));
  assert.deepEqual(
    grouped.map(([name]) => name).toSorted(),
    OPTION_NAMES.toSorted(),
    'name each table of options in OPTION_GROUPS and in OPTIONS of src/config/options.ts',
  );
  for (const [name, spec] of grouped) assert.equal(spec, OPTIONS[name as keyof typeof OPTIONS]);
  for (const name of OPTION_NAMES)
    assert.equal(
      page.split('\n').filter((line) => /^\| `--(?:no-)?([^`]+)`/.exec(line)?.[1] === flagOf(name).slice(2)).length,
      // Two options may have one flag, for different commands.
      OPTION_NAMES.filter((other) => flagOf(other) === flagOf(name)).length,
      `${name}; run: npx node scripts/write-option-page.ts`,
    );
});
