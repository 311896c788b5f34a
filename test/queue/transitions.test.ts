/** What both queues decide alike. The suites of the queues use most of it; here is what they cannot see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RUN_ID } from '../../src/queue/job-record.ts';
import {
  attemptsExhausted,
  attemptsOfTry,
  docKeyOf,
  identityOf,
  newRunId,
  newToken,
  outcomeOf,
  shownError,
} from '../../src/queue/transitions.ts';

test('a new run has a name of the form that is believed, and no two runs or claims share one', () => {
  const names = Array.from({ length: 1000 }, () => [newRunId(), newToken()]).flat();
  assert.ok(names.every((name) => RUN_ID.test(name)));
  assert.equal(new Set(names).size, names.length);
});

test('a document’s key is one JSON text, whatever its place and its _id are called', () => {
  const place = { database: 'a","_id":{"$oid":"x"},"b":"', collection: 'c\\' };
  const id = { kind: 'string', value: '7"}' } as const;
  assert.deepEqual(JSON.parse(docKeyOf(place, id)), { ...place, _id: '7"}' });
  assert.notEqual(docKeyOf(place, { kind: 'string', value: '7' }), docKeyOf(place, { kind: 'integer', decimal: '7' }));
});

test('a name of objects is believed only as a text', () => {
  const place = { database: 'd', collection: 'c' };
  const id = { kind: 'integer', decimal: '7' } as const;
  assert.equal(identityOf(place, id, 'x').objectName, 'x');
  for (const other of [undefined, null, 7, ['x'], { $ne: 'x' }])
    assert.ok(!('objectName' in identityOf(place, id, other)), JSON.stringify(other));
});

test('a postponed webhook counts no attempt, and of a reason 500 characters are kept', () => {
  const error = 'no'.repeat(1000);
  assert.equal(attemptsOfTry({ kind: 'postpone', delayMs: 1, error }), 0);
  assert.equal(attemptsOfTry({ kind: 'retry', delayMs: 1, error }), 1);
  assert.equal(attemptsOfTry({ kind: 'dead', error }), 1);
  assert.equal(attemptsOfTry({ kind: 'delivered' }), 1);
  assert.ok(shownError(error).length <= 500 && shownError(error).startsWith('nono'));
  assert.equal(shownError('timeout'), 'timeout');
});

test('a statement that matched nothing has lost the document, and the number of attempts is told', () => {
  assert.deepEqual([outcomeOf(true), outcomeOf(false)], ['done', 'lost']);
  assert.match(attemptsExhausted(3).message, /^all 3 attempts /);
});
