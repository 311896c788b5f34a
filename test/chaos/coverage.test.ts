import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coverageLines, isFault } from './coverage.ts';

test('a kind that never came is named, and one that came is not', () => {
  const lines = coverageLines([
    { what: 'a fault', times: 0 },
    { what: 'another', times: 2 },
  ]);
  assert.deepEqual(lines, ['NOT MET, so that nothing is known of it after this run: a fault']);
});

test('what the service could have shown often and never did is its fault', () => {
  const never = { what: 'a take-over', times: 0, chances: 12 };
  assert.ok(isFault(never));
  assert.match(coverageLines([never])[0] ?? '', /^NEVER HAPPENED in 12 chances/);
  assert.ok(!isFault({ ...never, chances: 2 }));
  assert.ok(!isFault({ ...never, times: 1 }));
  assert.ok(!isFault({ what: 'chosen by chance', times: 0 }));
});
