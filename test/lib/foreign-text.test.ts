import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundedSentence, boundedSentences, cut, excerpt, printable, quote } from '../../src/lib/foreign-text.ts';
import { OBEYED_RANGES } from './obeyed-characters.ts';
import { growthOf } from './growth.ts';

/** Surrogates are escaped where they stand alone, as each of them does here. */
const ESCAPED = [...OBEYED_RANGES, [0xd800, 0xdfff]] as const;

function isObeyed(text: string): boolean {
  return Array.from(text).some((character) => {
    const code = character.codePointAt(0) ?? 0;
    return ESCAPED.some(([from, to]) => code >= from && code <= to);
  });
}

test('every character that a terminal obeys is escaped, and no other', () => {
  for (let code = 0; code <= 0xffff; code++) {
    const character = String.fromCharCode(code);
    const escaped = `\\u${code.toString(16).padStart(4, '0')}`;
    const expected = ESCAPED.some(([from, to]) => code >= from && code <= to) ? escaped : character;
    assert.equal(printable(character), expected);
  }
  assert.equal(printable('😀 é Ω'), '😀 é Ω', 'whole pairs stay');
});

test('whatever is quoted is bounded, and nothing in it is obeyed', () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.string({ unit: 'binary', maxLength: 500 })), (value) => {
      for (const text of [quote(value), quote(value, 20), boundedSentence(String(quote(value)))]) {
        assert.ok(text.length <= 602, `${text.length} characters`);
        assert.ok(!isObeyed(text), JSON.stringify(text));
      }
    }),
  );
});

test('values are quoted as JSON writes them, whatever their depth and size', () => {
  assert.equal(quote('a "b" \u001b[31m'), String.raw`"a \"b\" \u001b[31m"`);
  assert.equal(quote({ a: [1, 'x', null], b: { c: true } }), '{"a":[1,"x",null],"b":{"c":true}}');
  assert.equal(quote(10n), '10');
  assert.equal(quote(undefined), 'undefined');
  assert.equal(quote('x'.repeat(1e6)).length, 122);
  let nested: unknown = 1;
  for (let level = 0; level < 100_000; level++) nested = [nested];
  assert.equal(quote(nested), '[[[[[…]]]]]');
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  assert.ok(quote(cyclic).length <= 120);
});

test('text is cut without splitting a pair', () => {
  assert.equal(cut('abc', 3), 'abc');
  assert.equal(cut('abcd', 3), 'ab…');
  assert.equal(cut('a😀😀', 3), 'a…');
  assert.equal(excerpt('\u001b'.repeat(100), 12), String.raw`\u001b\u001…`);
});

test('eight times the text takes about eight times the time', () => {
  const make = (length: number): string => 'a\u009b'.repeat(length);
  const ratio = growthOf({ make, use: printable, size: 20_000, factor: 8 });
  assert.ok(ratio < 32, `${ratio} times the time for eight times the text`);
});

test('sentences of one kind are bounded each and in number, and the rest is counted', () => {
  assert.deepEqual(boundedSentences(['a', 'b\u009b']), ['a', String.raw`b\u009b`]);
  const shown = boundedSentences(Array.from({ length: 5000 }, (_, index) => `${index} ${'x'.repeat(1000)}`));
  assert.equal(shown.length, 20);
  assert.equal(shown.at(-1), '4981 more of these are not shown.');
  assert.ok(shown.every((sentence) => sentence.length < 600));
  assert.deepEqual(boundedSentences(shown), shown, 'what is bounded once stays');
});
