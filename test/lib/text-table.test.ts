/** Tables: aligned, within the width, and without columns that say nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textTable } from '../../src/lib/text-table.ts';

const COLUMNS = [
  { heading: 'ID', cells: ['1', '22'] },
  { heading: 'EMPTY', cells: ['', ''] },
  { heading: 'PROMPT', cells: ['a long text of a prompt', 'b'], leastWidth: 8 },
  { heading: 'RESULT', cells: ['what came of it', ''], leastWidth: 10 },
];

test('columns are as wide as their widest cell, and one without text is left out', () => {
  assert.deepEqual(textTable(COLUMNS, { width: undefined, hasHeadings: true }), [
    'ID  PROMPT                   RESULT',
    '1   a long text of a prompt  what came of it',
    '22  b',
  ]);
  assert.deepEqual(textTable(COLUMNS, { width: undefined, hasHeadings: false })[1], '22  b');
});

test('a line that does not fit loses the end of its last columns first, and never more than they bear', () => {
  assert.equal(textTable(COLUMNS, { width: 40, hasHeadings: false })[0], '1   a long text of a prompt  what came …');
  assert.equal(textTable(COLUMNS, { width: 30, hasHeadings: false })[0], '1   a long text o…  what came…');
  assert.equal(textTable(COLUMNS, { width: 5, hasHeadings: false })[0], '1   a long …  what came…');
});
