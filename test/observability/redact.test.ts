/** What is taken out of log fields, and how much of them is kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactFields, redactText } from '../../src/observability/redact.ts';

test('what stands under a secret’s name is taken out, of any kind but numbers and switches', () => {
  const NAMES = [
    'password',
    'dbPassword',
    'hf_token',
    'accessToken',
    'x-api-key',
    'apiKey',
    'Set-Cookie',
    'client.secret',
    'privateKeys',
  ];
  for (const name of NAMES)
    assert.deepEqual(redactFields({ [name]: 'x', nested: { [name]: ['x'] }, list: [{ [name]: { a: 'x' } }] }), {
      [name]: '[redacted]',
      nested: { [name]: '[redacted]' },
      list: [{ [name]: '[redacted]' }],
    });
  const harmless = { maxTokens: 77, max_token: 77, secret: true, tokens: 'a b', password_length: 8 };
  assert.deepEqual(redactFields(harmless), harmless);
});

test('a line’s fields are bounded in number, depth, length and in their names, however large and cyclic they are', () => {
  const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`field ${index}`, index]));
  const deep: Record<string, unknown> = {
    text: 'x'.repeat(1e6),
    list: Array.from({ length: 1e5 }, () => 'y'.repeat(1000)),
  };
  deep['self'] = deep;
  deep['selves'] = Array.from({ length: 1000 }, () => deep);
  for (const fields of [many, deep, { many, deep }, { ['n'.repeat(1e6)]: 1 }]) {
    const bounded = redactFields(fields);
    assert.ok(JSON.stringify(bounded).length < 40_000);
    assert.ok(Object.keys(bounded).every((name) => name.length <= 100));
  }
  assert.equal(Object.keys(redactFields(many)).length, 51);
});

test('values that JSON has no word for are written as text', () => {
  assert.deepEqual(
    redactFields({ n: 10n, f: () => 1, s: Symbol('a'), d: new Date(Number.NaN), b: new Uint8Array(3) }),
    {
      n: '10',
      f: 'a function',
      s: 'Symbol(a)',
      d: 'invalid date',
      b: '3 bytes',
    },
  );
});

test('a field named like what every object inherits is a field', () => {
  const fields = JSON.parse('{"__proto__": {"password": "x"}, "constructor": "y"}') as Record<string, unknown>;
  assert.equal(JSON.stringify(redactFields(fields)), '{"__proto__":{"password":"[redacted]"},"constructor":"y"}');
});

test('text is redacted whole', () => {
  const text = `${'a'.repeat(100_000)} mongodb://ada:x@db`;
  assert.equal(redactText(text), `${'a'.repeat(100_000)} mongodb://[redacted]@db`);
});
