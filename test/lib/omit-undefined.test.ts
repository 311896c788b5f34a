import assert from 'node:assert/strict';
import { test } from 'node:test';
import { omitUndefined } from '../../src/lib/omit-undefined.ts';

test('what is undefined is left out, and what is null, false, empty or 0 stays', () => {
  const stated: { readonly a?: string; readonly b: null; readonly c: number } = omitUndefined({
    a: undefined as string | undefined,
    b: null,
    c: 0,
    d: '',
    e: false,
  });
  assert.deepEqual(stated, { b: null, c: 0, d: '', e: false });
  assert.equal('a' in stated, false);
});

test('a key that is called __proto__ is a key like any other', () => {
  const record = JSON.parse('{"__proto__": {"admin": true}, "x": 1}') as object;
  const stated = omitUndefined(record);
  assert.deepEqual(Object.keys(stated), ['__proto__', 'x']);
  assert.equal('admin' in stated, false);
});

test('only the own keys of an object count', () => {
  assert.deepEqual(Object.keys(omitUndefined(Object.create({ inherited: 1 }) as object)), []);
});
