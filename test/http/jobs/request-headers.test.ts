/** `Prefer: wait` and `Cancel-After`: what is read, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { cancelAfterMs, preferredWaitS } from '../../../src/http/jobs/request-headers.ts';

test('a preference to wait is read from any form that RFC 7240 allows, and never longer than a minute', () => {
  for (const [header, seconds] of [
    ['wait=5', 5],
    ['wait', 60],
    ['Wait = 7', 7],
    ['wait="8"', 8],
    ['respond-async, wait=10', 10],
    ['wait=10; foo=bar', 10],
    [['respond-async', 'wait=9'], 9],
    ['wait=61', 60],
    ['wait=999999999', 60],
  ] as const)
    assert.equal(preferredWaitS(header), seconds, String(header));
});

test('a preference that cannot be read is none', () => {
  for (const header of [
    undefined,
    '',
    'wait=',
    'wait=0',
    'wait=-1',
    'wait=1.5',
    'wait=x',
    'waiting=5',
    'return=minimal',
  ])
    assert.equal(preferredWaitS(header), undefined, String(header));
});

test('a life span is read in seconds, minutes and hours', () => {
  for (const [header, ms] of [
    ['90s', 90_000],
    ['90', 90_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    [' 5s ', 5000],
  ] as const)
    assert.equal(cancelAfterMs(header), ms, header);
  assert.equal(cancelAfterMs(undefined), undefined);
});

test('a life span that is none, too short or too long is refused with what is allowed', () => {
  for (const header of ['', 's', '4s', '25h', '1d', '-5s', '1.5m', '5 minutes', ['5s', '6s'], `${'9'.repeat(9)}h`])
    assert.throws(
      () => cancelAfterMs(header),
      (error) =>
        error instanceof Text2ImgError && error.code === 'invalid_parameter' && error.message.includes('90s, 5m or 1h'),
      String(header),
    );
});
