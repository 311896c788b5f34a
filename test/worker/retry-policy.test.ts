/** What becomes of a failed attempt. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { judge } from '../../src/worker/retry-policy.ts';

const facts = { attempt: 1, maxAttempts: 5, random: () => 0.5 };

test('faults of the request, of the model and of ours are verdicts', () => {
  for (const code of ['invalid_parameter', 'missing_tensor', 'internal'] as const) {
    assert.deepEqual(judge(new Text2ImgError(code, 'x.'), facts), { kind: 'fail', failure: { code, message: 'x.' } });
  }
});

test('faults of the infrastructure are tried again after a pause that doubles, up to five minutes', () => {
  const error = new Text2ImgError('store_failed', 'x.');
  const delays = [1, 2, 3, 20]
    .map((attempt) => judge(error, { ...facts, attempt, maxAttempts: 99 }))
    .map((verdict) => verdict.kind === 'retry' && verdict.delayMs);
  assert.deepEqual(delays, [1000, 2000, 4000, 300_000]);
});

test('the last attempt ends with attempts_exhausted and says what the fault was', () => {
  const verdict = judge(new Text2ImgError('engine_crashed', 'gone.'), { ...facts, attempt: 5 });
  assert.equal(verdict.kind, 'fail');
  assert.deepEqual(verdict.failure, {
    code: 'attempts_exhausted',
    message: 'all 5 attempts failed; the last one: engine_crashed: gone.',
  });
});

test('an object of another document is not tried again', () => {
  assert.equal(judge(new Text2ImgError('foreign_object', 'x.'), facts).kind, 'fail');
});
