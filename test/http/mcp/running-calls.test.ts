/** Which call a client of 2025 takes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunningCalls } from '../../../src/http/mcp/running-calls.ts';

const CALL = { key: 'a', session: 's1', requestId: 1 };

test('a call is taken back by its key, session and request id together', () => {
  const calls = new RunningCalls();
  using running = calls.begin(CALL);
  for (const other of [
    { ...CALL, key: 'b' },
    { ...CALL, key: undefined },
    { ...CALL, session: 's2' },
    { ...CALL, requestId: 2 },
    { ...CALL, requestId: '1' },
  ])
    calls.takeBack(other);
  assert.ok(!running.signal.aborted);
  calls.takeBack(CALL);
  assert.ok(running.signal.aborted);
});

test('a call that has ended is forgotten, and cannot end one that uses its id again', () => {
  const calls = new RunningCalls();
  const first = calls.begin(CALL);
  const second = calls.begin(CALL);
  first[Symbol.dispose]();
  calls.takeBack(CALL);
  assert.deepEqual([first.signal.aborted, second.signal.aborted], [false, true]);
  second[Symbol.dispose]();
  assert.equal(calls.size, 0);
  calls.takeBack(CALL);
});
