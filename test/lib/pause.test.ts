import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { growingPauseMs, pause } from '../../src/lib/pause.ts';

test('pauses double from the first to the longest, and differ by a quarter', () => {
  const range = { firstMs: 1000, maxMs: 60_000, random: () => 0.5 };
  assert.deepEqual(
    [1, 2, 3, 6, 7, 8, 5000].map((failures) => growingPauseMs(failures, range)),
    [1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000],
  );
  assert.equal(growingPauseMs(1, { ...range, random: () => 0 }), 750);
  assert.equal(growingPauseMs(1, { ...range, random: () => 1 }), 1250);
});

test('an abort ends a pause, which leaves no listener behind however it ends', async () => {
  const { signal } = new AbortController();
  await pause(1, signal);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  const stop = new AbortController();
  const long = pause(1e8, stop.signal);
  stop.abort();
  await long;
  await pause(1e8, stop.signal);
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
});
