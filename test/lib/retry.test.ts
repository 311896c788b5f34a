import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { ERROR_CODES, type ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { retry, type RetryOptions } from '../../src/lib/retry.ts';

const QUICK: RetryOptions = { firstMs: 1, maxMs: 4, deadlineMs: 60_000 };

/** Fails so often, then succeeds. */
function failing(times: number, error: unknown = new Text2ImgError('inference_failed', 'not yet.')) {
  const state = { attempts: 0 };
  const attempt = async (): Promise<string> => {
    if (++state.attempts <= times) throw error;
    return 'done';
  };
  return { state, attempt };
}

test('an attempt that fails is repeated until it succeeds, and each failure is told with the pause that follows', async () => {
  const { state, attempt } = failing(3);
  const told: [number, number][] = [];
  const onFailure: RetryOptions['onFailure'] = (_, { failures, pauseMs }) => told.push([failures, pauseMs]);
  assert.equal(await retry(attempt, { ...QUICK, random: () => 0.5, onFailure }), 'done');
  assert.equal(state.attempts, 4);
  assert.deepEqual(told, [
    [1, 1],
    [2, 2],
    [3, 4],
  ]);
});

test('without another rule each error code is repeated exactly where its consequence is not "fail"', async () => {
  for (const [code, { consequence }] of Object.entries(ERROR_CODES)) {
    const { state, attempt } = failing(1, new Text2ImgError(code as ErrorCode, 'once.'));
    await retry(attempt, QUICK).catch(() => undefined);
    assert.equal(state.attempts, consequence === 'fail' ? 1 : 2, code);
  }
});

test('what is no error of ours is a bug, and is not repeated', async () => {
  const { state, attempt } = failing(1, new TypeError('x is not a function'));
  await assert.rejects(retry(attempt, QUICK), TypeError);
  assert.equal(state.attempts, 1);
});

test('the predicate decides, and the number of attempts bounds it', async () => {
  const { state, attempt } = failing(9, 'text');
  await assert.rejects(retry(attempt, { ...QUICK, mayHelp: () => true, maxAttempts: 3 }), (error) => error === 'text');
  assert.equal(state.attempts, 3);
});

test('a pause that would last beyond the deadline does not begin', async () => {
  const { state, attempt } = failing(9);
  await assert.rejects(retry(attempt, { ...QUICK, firstMs: 1e8, maxMs: 1e8, deadlineMs: 1e7 }), Text2ImgError);
  assert.equal(state.attempts, 1);
  const asked = failing(9);
  await assert.rejects(retry(asked.attempt, { ...QUICK, minPauseMs: () => 1e8 }), Text2ImgError);
  assert.equal(asked.state.attempts, 1);
});

test('each attempt is given the time that is left', async () => {
  const left: number[] = [];
  await retry(
    async (leftMs) => {
      left.push(leftMs);
      if (left.length < 2) throw new Text2ImgError('store_failed', 'not yet.');
    },
    { ...QUICK, deadlineMs: 5000 },
  );
  assert.equal(left.length, 2);
  assert.ok((left[0] as number) <= 5000 && (left[1] as number) < (left[0] as number), String(left));
});

test('an abort ends the pause with the last error, makes no further attempt, and no listener stays behind', async () => {
  const stop = new AbortController();
  const { state, attempt } = failing(9);
  const onFailure = (): void => queueMicrotask(() => stop.abort());
  const error = await retry(attempt, {
    ...QUICK,
    firstMs: 1e8,
    maxMs: 1e8,
    deadlineMs: 1e9,
    signal: stop.signal,
    onFailure,
  }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof Text2ImgError && error.code === 'inference_failed');
  assert.equal(state.attempts, 1);
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
});
