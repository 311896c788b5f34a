/** Headers that name what had no effect. */
import assert from 'node:assert/strict';
import { validateHeaderValue } from 'node:http';
import { test } from 'node:test';
import { headerText, noticeHeaders } from '../../../src/http/openai/notices.ts';

test('there is no header where there is nothing to say', () => {
  assert.deepEqual(noticeHeaders({ ignored: [], warnings: [] }), {});
});

test('names have commas between them, and each comes once', () => {
  const { 'text2img-ignored': header } = noticeHeaders({ ignored: ['quality', 'user', 'quality'], warnings: [] });
  assert.equal(header, 'quality, user');
});

test('any name and any sentence is a header that node sends, of bounded length', () => {
  const hostile = ['a\r\nset-cookie: x', 'ü', '\ud800', '%41', 'a,b', ' ', 'x'.repeat(1e5), '𝔘', '\0'];
  const many = Array.from({ length: 1000 }, (_, index) => `${hostile[index % hostile.length]}${index}`);
  const headers = noticeHeaders({ ignored: many, warnings: many });
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderValue(name, value);
    assert.match(value, /^[\x20-\x7e]+$/);
    assert.ok(value.length <= 2000);
  }
  assert.equal(Object.keys(headers).length, 2);
  for (const text of hostile) assert.match(headerText(text), /^[\x21-\x7e]+$/);
});

test('other characters than ASCII are percent-encoded, so that a reader gets them back', () => {
  const { 'text2img-warnings': header } = noticeHeaders({ ignored: [], warnings: ['the model’s size is 50 % of ü.'] });
  assert.equal(decodeURIComponent(header ?? ''), "the model's size is 50 % of ü.");
});
