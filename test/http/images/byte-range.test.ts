/** Ranges and tags of images, by the sentences of RFC 9110. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { byteRange } from '../../../src/http/images/byte-range.ts';
import { entityTag, isKnown, isSameVersion } from '../../../src/http/images/entity-tag.ts';

const part = (start: number, end: number): object => ({ kind: 'part', start, end });
const WHOLE = { kind: 'whole' };
const NONE = { kind: 'unsatisfiable' };

test('one range of bytes is read as the RFC has it, and ends where the image does', () => {
  for (const [header, expected] of [
    ['bytes=0-499', part(0, 499)],
    ['bytes=500-999', part(500, 999)],
    ['bytes=-500', part(9500, 9999)],
    ['bytes=9500-', part(9500, 9999)],
    ['bytes=0-0', part(0, 0)],
    ['bytes=0-99999999', part(0, 9999)],
    ['bytes=-99999999', part(0, 9999)],
    ['Bytes=1-2', part(1, 2)],
    [' bytes=1-2 ', part(1, 2)],
  ] as const)
    assert.deepEqual(byteRange(header, 10_000), expected, header);
});

test('a range behind the image is unsatisfiable', () => {
  for (const header of ['bytes=10000-', 'bytes=10000-10001', 'bytes=-0', 'bytes=999999999999999-'])
    assert.deepEqual(byteRange(header, 10_000), NONE, header);
});

test('a header that is no single range of bytes gets the whole image', () => {
  for (const header of [
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=2-1',
    'bytes=a-b',
    'bytes=1-2,4-5',
    'items=0-1',
    'bytes=0x1-2',
    `bytes=${'9'.repeat(300)}-`,
  ])
    assert.deepEqual(byteRange(header, 10_000), WHOLE, String(header));
});

test('a tag is of the bytes, and If-None-Match finds it in a list, weak or not', () => {
  const md5Of = (text: string): string => createHash('md5').update(text).digest('base64');
  const tag = entityTag({ md5: md5Of('an image'), generation: '1' });
  assert.match(tag, /^"[\w-]{22}"$/);
  assert.equal(entityTag({ md5: md5Of('an image'), generation: '2' }), tag);
  assert.notEqual(entityTag({ md5: md5Of('an imagf'), generation: '1' }), tag);
  // A store that knows no sum knows versions.
  const [one, other] = ['1', '2'].map((generation) => entityTag({ md5: undefined, generation }));
  assert.match(one ?? '', /^"v-[\w-]{22}"$/);
  assert.notEqual(one, other);
  for (const header of [tag, `W/${tag}`, `"x", ${tag}`, '*', ` ${tag} `]) assert.ok(isKnown(header, tag), header);
  for (const header of [undefined, '', '"x"', tag.slice(1)]) assert.ok(!isKnown(header, tag), String(header));
});

test('If-Range takes the same tag only, never a weak one or a date', () => {
  const tag = '"abc"';
  assert.ok(isSameVersion(undefined, tag));
  assert.ok(isSameVersion('"abc"', tag));
  for (const header of ['W/"abc"', '"abd"', 'Wed, 21 Oct 2026 07:28:00 GMT'])
    assert.ok(!isSameVersion(header, tag), header);
});
