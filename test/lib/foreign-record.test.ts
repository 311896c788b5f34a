import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRecord, own } from '../../src/lib/foreign-record.ts';

test('a foreign name finds only what the object itself has', () => {
  const record = JSON.parse('{"__proto__": 1, "a": 2}') as Record<string, number>;
  assert.deepEqual(
    ['a', '__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((name) => own(record, name)),
    [2, 1, undefined, undefined, undefined],
  );
});

test('a record is an object that is no list', () => {
  assert.deepEqual(
    [{}, Object.create(null), [], null, 'x', 5, undefined].map((value) => isRecord(value)),
    [true, true, false, false, false, false, false],
  );
});
