/** Names in code, in documents and as flags are spellings of each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagOf, OPTION_NAMES, OPTIONS, type OptionSpec } from '../../src/config/options.ts';
import { optionNameOf } from '../../src/config/options/request-options.ts';
import { unreadFields } from '../../src/job/foreign-fields.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../../src/job/request-fields.ts';
import { camelCase, separated } from '../../src/lib/letter-cases.ts';

const WIRE_NAMES = Object.values({ ...REQUEST_FIELDS, ...DOCUMENT_FIELDS }).map(({ wire }): string => wire);

test('every field of a document comes back from camel case, digits too', () => {
  assert.ok(WIRE_NAMES.includes('negative_prompt_2'));
  for (const wire of WIRE_NAMES) assert.equal(separated(camelCase(wire), '_'), wire);
  assert.equal(camelCase('negative_prompt_2'), 'negativePrompt2');
});

test('every flag that is not stated comes back from camel case', () => {
  const derived = OPTION_NAMES.filter((name) => (OPTIONS[name] as OptionSpec).flag === undefined);
  assert.ok(derived.length > 50);
  for (const name of derived) assert.equal(camelCase(flagOf(name).slice(2)), name);
});

test('what has no capitals and no digit behind a letter stays as it is', () => {
  for (const name of ['text_encoder_2', 'seed', '2', '', '_']) assert.equal(separated(name, '_'), name);
});

test('the option of a field has its name in camel case, where it has none of its own', () => {
  assert.equal(optionNameOf(REQUEST_FIELDS.negativePrompt2), 'negativePrompt2');
  assert.equal(optionNameOf(REQUEST_FIELDS.cropsCoordsTopLeft), 'crop');
});

test('a field in camel case is a name of other tools, which is warned of and not refused', () => {
  const camel = WIRE_NAMES.filter((wire) => wire.includes('_')).map(camelCase);
  assert.ok(camel.length > 15);
  for (const name of camel)
    assert.deepEqual(
      unreadFields([name]).map(({ kind }) => kind),
      ['foreign'],
      name,
    );
});
