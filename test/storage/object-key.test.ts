/** Object names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectKey } from '../../src/storage/object-key.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';

const cases = [
  [{ kind: 'object_id', hex: '65f0c0ffee65f0c0ffee0001' }, 'generated/65f0c0ffee65f0c0ffee0001.png'],
  [{ kind: 'integer', decimal: '-12' }, 'generated/-12.png'],
  [
    { kind: 'uuid', hyphenated: '123e4567-e89b-12d3-a456-426614174000' },
    'generated/123e4567-e89b-12d3-a456-426614174000.png',
  ],
  [{ kind: 'string', value: 'order_7-b' }, 'generated/order_7-b.png'],
  // printf '%s' '"../etc/passwd"' | sha256sum
  [
    { kind: 'string', value: '../etc/passwd' },
    'generated/x-fd2b051cf35d4487b475a5e1eea3b6b43c0a8c3b12b0fb1a3045e0864ae661f8.png',
  ],
] as const;

test('plain ids name their object, anything else is hashed', () => {
  for (const [id, name] of cases) assert.equal(objectKey(id, { prefix: DEFAULT_OBJECT_PREFIX, imageIndex: 0 }), name);
  for (const value of ['../etc/passwd', '', 'a b', 'ä', 'x'.repeat(129), `x-${'0'.repeat(64)}`, '.', 'a/b']) {
    assert.match(
      objectKey({ kind: 'string', value }, { prefix: DEFAULT_OBJECT_PREFIX, imageIndex: 0 }),
      /^generated\/x-[0-9a-f]{64}\.png$/,
    );
  }
});

test('further pictures of a document are numbered from 2', () => {
  const id = { kind: 'string', value: 'a' } as const;
  assert.deepEqual(
    [0, 1, 2].map((imageIndex) => objectKey(id, { prefix: DEFAULT_OBJECT_PREFIX, imageIndex })),
    ['generated/a.png', 'generated/a.2.png', 'generated/a.3.png'],
  );
});

test('the prefix can be chosen', () => {
  assert.equal(objectKey({ kind: 'integer', decimal: '1' }, { prefix: 'p/', imageIndex: 0 }), 'p/1.png');
});
