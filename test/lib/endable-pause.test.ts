import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { EndablePause } from '../../src/lib/endable-pause.ts';

/** The test's own limit says that a pause did not end. */
const FOREVER_MS = 1_000_000;

test('a pause ends by its time, by the signal and by hand, and leaves no listener', { timeout: 20_000 }, async () => {
  const rest = new EndablePause();
  const controller = new AbortController();
  await rest.pause(1, controller.signal);
  const byHand = rest.pause(FOREVER_MS, controller.signal);
  rest.end();
  await byHand;
  const bySignal = rest.pause(FOREVER_MS, controller.signal);
  controller.abort();
  await bySignal;
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
});

test('an end before the pause ends the next one, once, and an end during one ends all that wait', {
  timeout: 20_000,
}, async () => {
  const rest = new EndablePause();
  const { signal } = new AbortController();
  rest.end();
  await rest.pause(FOREVER_MS, signal);
  const both = Promise.all([rest.pause(FOREVER_MS, signal), rest.pause(FOREVER_MS, signal)]);
  rest.end();
  await both;
  let isOver = false;
  const next = rest.pause(50, signal).then(() => (isOver = true));
  await new Promise(setImmediate);
  assert.equal(isOver, false, 'the end was used up');
  await next;
});
