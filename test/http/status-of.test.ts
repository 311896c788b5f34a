/** What error codes mean over HTTP. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, type ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { errorOf } from '../../src/http/front/ended-job.ts';
import { retryAfter } from '../../src/http/front/retry-after.ts';
import { answerTo } from '../../src/http/server/status-of.ts';

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

test('every code has a status of an error, and says whether the client should send the request again', () => {
  for (const code of codes) {
    const { status, headers } = answerTo(new Text2ImgError(code, 'x.'));
    assert.ok(status >= 400 && status < 600, `${code}: ${status}`);
    const seconds = Number(headers['retry-after']);
    if (headers['x-should-retry'] === 'true') assert.ok(seconds >= 1 && seconds <= 60, `${code}: ${seconds} s`);
    else assert.deepEqual([headers['x-should-retry'], headers['retry-after']], ['false', undefined], code);
  }
});

test('an answer of 429, 503 or 504 always says when to come again', () => {
  for (const code of codes) {
    const { status, headers } = answerTo(new Text2ImgError(code, 'x.'));
    if ([429, 503, 504].includes(status)) assert.notEqual(headers['retry-after'], undefined, code);
  }
});

test('a measured pause takes the place of the usual one, as whole seconds from 1 to 60', () => {
  const pauses = [0, 0.2, 7.1, 1e9].map((seconds) => {
    const error = retryAfter(new Text2ImgError('rate_limit_exceeded', 'x.'), seconds);
    return answerTo(error).headers['retry-after'];
  });
  assert.deepEqual(pauses, ['1', '1', '8', '60']);
  const unknown = retryAfter(new Text2ImgError('rate_limit_exceeded', 'x.'), undefined);
  assert.equal(answerTo(unknown).headers['retry-after'], '5');
});

test('the error of a job that ended is never worth a repeat', () => {
  const statuses = codes.map((code) => {
    const { status, headers } = answerTo(errorOf({ error: `${code}: it is so.` }));
    assert.deepEqual(headers, { 'x-should-retry': 'false' }, code);
    return [code, status] as const;
  });
  const status = new Map<string, number>(statuses);
  assert.equal(status.get('model_not_found'), 500);
  assert.equal(status.get('store_failed'), 500);
  assert.equal(status.get('invalid_parameter'), 400);
});

test('a sentence that another program wrote as a job’s error is shown, under the code of a bug', () => {
  for (const text of ['it broke', 'nonsense: it broke', 'constructor: it broke']) {
    const error = errorOf({ error: text });
    assert.deepEqual([error.code, error.message], ['internal', text]);
  }
});
