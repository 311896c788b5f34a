/** Flags of request fields: the same ranges as in documents, because both come from the table of fields. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OptionName, OPTIONS } from '../../src/config/options.ts';
import { requestOptions, requestValues } from '../../src/config/options/request-options.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { parsePromptDocument, toDocument } from '../../src/job/prompt-document.ts';
import { DOCUMENT_FIELDS, REQUEST_FIELDS } from '../../src/job/request-fields.ts';

type Side = 'width' | 'height';

/** As `generate` and `enqueue` read a flag: first alone, then with the limits in the document that it becomes. */
function byFlag(flags: Readonly<Record<Side, string>>): unknown {
  const config = {
    prompt: '',
    width: OPTIONS.width.type.parseText(flags.width),
    height: OPTIONS.height.type.parseText(flags.height),
  };
  if (config.width === undefined || config.height === undefined) return 'refused';
  return byDocument(toDocument(REQUEST_FIELDS, requestValues(REQUEST_FIELDS, config)));
}

function byDocument(document: Readonly<Record<string, unknown>>): unknown {
  try {
    return parsePromptDocument(document, DEFAULT_LIMITS).request;
  } catch {
    return 'refused';
  }
}

// 524,288 × 8 are the 4,194,304 pixels that are allowed.
for (const [width, height, isAllowed] of [
  [65_544, 8, true],
  [8, 65_544, true],
  [524_288, 8, true],
  [524_296, 8, false],
  [100, 64, false],
  [0, 64, false],
  [4096, 1032, false],
] as const) {
  test(`${width} × ${height} is ${isAllowed ? 'accepted' : 'refused'} as flags and as a document alike`, () => {
    const request = isAllowed ? { prompt: '', widthPx: width, heightPx: height } : 'refused';
    assert.deepEqual(byFlag({ width: String(width), height: String(height) }), request);
    assert.deepEqual(byDocument({ text: '', width, height }), request);
  });
}

test('a side that is too long is refused with the longest one that the limit of pixels leaves', () => {
  const longest = '"width" is 600000; allowed are multiples of 8 from 8 to 524288.';
  assert.throws(() => parsePromptDocument({ text: '', width: 600_000 }, DEFAULT_LIMITS), { message: longest });
});

test('every field that is not one job’s own is a flag of run, and every flag has its range in its help', () => {
  const options = {
    ...requestOptions(REQUEST_FIELDS, ['run', 'generate', 'enqueue']),
    ...requestOptions(DOCUMENT_FIELDS, ['enqueue']),
  };
  assert.deepEqual(
    Object.entries(options)
      .filter(([, { commands }]) => !commands.includes('run'))
      .map(([name]) => name),
    ['prompt', 'prompt2', 'seed', 'priority'],
  );
  for (const [name, { doc, allowed, kind }] of Object.entries(options)) {
    assert.ok(kind === 'text' || doc.includes(allowed), doc);
    assert.equal(OPTIONS[name as OptionName].doc, doc);
  }
});
