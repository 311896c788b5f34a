/** The reference page of error codes and the table in the source say the same. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ERROR_CODES, EXIT_CODE_OF_FAULT } from '../src/errors/error-codes.ts';

const page = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8');
const rows = new Map(
  page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      return [cells[1]?.replaceAll('`', ''), cells] as const;
    }),
);

test('the reference page lists every error code with its fault, exit code, consequence and meaning', () => {
  for (const [code, facts] of Object.entries(ERROR_CODES)) {
    assert.deepEqual(
      rows.get(code)?.slice(2, 6),
      [facts.fault, String(EXIT_CODE_OF_FAULT[facts.fault]), facts.consequence, facts.meaning],
      `the row of ${code} in docs/errors.md; run: npx node scripts/write-error-page.ts`,
    );
  }
});

test('the reference page lists no code that does not exist', () => {
  assert.deepEqual(
    [...rows.keys()].filter((code) => code !== undefined && !(code in ERROR_CODES)),
    [],
    'run: npx node scripts/write-error-page.ts',
  );
});
