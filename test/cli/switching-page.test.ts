/** docs/switching-from-python.md lists every difference that the tables of options, fields, indexes and error codes show. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { environmentNameOf, flagOf, OPTION_NAMES, OPTIONS, type OptionSpec } from '../../src/config/options.ts';
import { ERROR_CODES } from '../../src/errors/error-codes.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../../src/job/request-fields.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const page = read('docs/switching-from-python.md');
const rows = page.split('\n').filter((line) => line.startsWith('| ') && line.split('|').length === 5);

/** Values that change nothing. */
const INACTIVE: readonly (string | undefined)[] = ['off', '', undefined];

test('every option of run that does something without being asked for has a row with its default and the option', () => {
  const active = OPTION_NAMES.map((name): [string, OptionSpec] => [flagOf(name), OPTIONS[name]]).filter(
    ([, spec]) => spec.commands.includes('run') && !INACTIVE.includes(spec.default),
  );
  assert.ok(active.length > 15);
  for (const [flag, { default: byDefault = '' }] of active)
    assert.ok(
      rows.some((row) => (row.split('|')[3] ?? '').includes(flag) && (row.split('|')[2] ?? '').includes(byDefault)),
      `docs/switching-from-python.md: add a row whose setting has ${flag} and whose text has its default, ${byDefault}`,
    );
});

test('every field of a document that has a meaning is named, so that a team sees which of its own fields it must rename', () => {
  const row = rows.find((one) => one.startsWith('| request fields |')) ?? '';
  for (const { wire } of Object.values({ ...REQUEST_FIELDS, ...DOCUMENT_FIELDS }))
    assert.ok(row.includes(`\`${wire}\``), `docs/switching-from-python.md: name ${wire} in the row "request fields"`);
});

test('every variable that the Python service has is named, with the indexes and the collection that are new', () => {
  const contract = [...read('README.md').matchAll(/^\| `--.*?\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|/gm)].flatMap(
    ([, variables = '']) => variables.match(/[A-Z_]+/g) ?? [],
  );
  assert.ok(contract.includes('MONGO_URI') && contract.length >= 8, contract.join(', '));
  // The steps are a request's: the row names the flag's value.
  for (const variable of contract.filter((one) => one !== environmentNameOf('numInferenceSteps')))
    assert.ok(page.includes(variable), `docs/switching-from-python.md: ${variable}`);
  const made = [...read('src/queue/mongo/indexes.ts').matchAll(/name: '(text2img_\w+)'/g)].map(([, name]) => name);
  assert.equal(made.length, 9);
  for (const name of [...made, 'text2img_keys']) assert.ok(page.includes(String(name)), name);
});

test('each error code in which the page says that a job ends is one of the table', () => {
  const codes = [...page.matchAll(/\bends in `(\w+)`/g)].map(([, code]) => String(code));
  assert.ok(codes.length >= 3, codes.join(', '));
  for (const code of codes) assert.ok(Object.hasOwn(ERROR_CODES, code), code);
});
