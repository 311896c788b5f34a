/** Secrets in texts are found whatever stands around them, also where the text was cut in the middle of one; and looking takes linear time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { boundedSentence, quote } from '../../src/lib/foreign-text.ts';
import { withoutSecrets } from '../../src/lib/secrets.ts';
import { growthOf } from './growth.ts';

const SECRET = 'Pa55phrase';

test('user names and passwords leave a URL, whatever unescaped letters a password has', () => {
  for (const odd of ['', '@', '/', '?', '#', ':', '%', '//', '://', '&', '=', '[', '…']) {
    for (const scheme of ['mongodb', 'mongodb+srv', 'postgres', 'redis', 'socks5']) {
      const text = `cannot reach ${scheme}://ada:x${odd}${SECRET}@db.example:27017/app today`;
      const shown = withoutSecrets(text);
      assert.equal(shown, `cannot reach ${scheme}://[redacted]@db.example:27017/app today`);
    }
  }
  assert.equal(withoutSecrets(`http://ada:${SECRET}@proxy:8080/`), 'http://[redacted]@proxy:8080/');
  assert.equal(withoutSecrets(`http://ada:x/${SECRET}@proxy:8080/`), 'http://[redacted]@proxy:8080/');
  assert.equal(withoutSecrets(`https://${SECRET}@host`), 'https://[redacted]@host');
  assert.equal(withoutSecrets(`a://a://a://u:${SECRET}@h/x`), 'a://[redacted]@h/x');
  assert.equal(withoutSecrets(`https://h/to/http://u:${SECRET}@k/`), 'https://h/to/http://[redacted]@k/');
});

test('the query of a URL is taken out, and a fragment that holds a value', () => {
  assert.equal(withoutSecrets(`https://h/in?token=${SECRET}&x=1, then`), 'https://h/in?[redacted] then');
  assert.equal(withoutSecrets(`mongodb://h/db?tlsPassword=${SECRET}`), 'mongodb://h/db?[redacted]');
  assert.equal(withoutSecrets(`https://h/#access_token=${SECRET}`), 'https://h/#[redacted]');
  assert.equal(withoutSecrets('see https://h/page#part'), 'see https://h/page#part');
  assert.equal(withoutSecrets('is it https://h/page? Yes'), 'is it https://h/page? Yes');
});

test('addresses without a secret stay as they are', () => {
  for (const text of [
    'gs://bucket/images/ada@example.com.png',
    'https://example.com/@ada/7',
    'http://[::1]:8080/x',
    'https://huggingface.co/owner/name',
    'ada@example.com',
    'https://…@host/…',
    '://',
    'max_token: 77',
  ])
    assert.equal(withoutSecrets(text), text);
});

test('tokens, keys and named values are taken out by their form', () => {
  for (const text of [
    `Headers.append: "Bearer ${SECRET}"`,
    `authorization: Basic ${SECRET}`,
    `hf_${SECRET}0123456789`,
    `whsec_${SECRET}0123456789`,
    `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END`,
    `user=ada&password=${SECRET}&x`,
    `API_KEY=${SECRET}`,
  ])
    assert.doesNotMatch(withoutSecrets(text), new RegExp(SECRET), text);
});

test('a secret that a cut goes through does not escape', () => {
  const uri = `mongodb://ada:${SECRET.repeat(20)}@db/app`;
  for (let length = 12; length < uri.length; length++) {
    const sentence = boundedSentence(`The server ${quote(uri, length)} does not answer.`);
    assert.doesNotMatch(sentence, /Pa/, sentence);
  }
  for (const border of [580, 595, 3985, 3995]) {
    const sentence = boundedSentence(`${'a '.repeat(border / 2)}mongodb://ada:${SECRET}@db/app`);
    assert.doesNotMatch(sentence, /Pa/, sentence);
    assert.ok(sentence.length <= 600);
  }
});

test('no text makes it fail, and what is found once is not found again', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', ':', '/', '@', '?', '#', ' ', '"', '…', '://', 'http') }),
      (text) => {
        const once = withoutSecrets(text);
        assert.equal(withoutSecrets(once).includes('://ada:'), false);
        assert.ok(once.length <= text.length + 12 * (text.length + 1));
      },
    ),
  );
});

test('eight times the text takes about eight times the time, whatever is repeated in it', () => {
  const UNITS = [
    'a',
    'a://',
    '@',
    'https://…@host/…',
    '://',
    'a:@',
    'http://',
    'https://x/',
    'https://u:',
    'Bearer ',
    'Bearer',
    'hf_',
    'token=',
    '-----BEGIN ',
    '?',
    '#a=',
    '…',
  ];
  for (const unit of UNITS) {
    const make = (length: number): string => unit.repeat(Math.ceil(length / unit.length));
    // A square would be 64 times.
    const ratio = growthOf({ make, use: withoutSecrets, size: 80_000, factor: 8 });
    assert.ok(ratio < 32, `${ratio} times the time for eight times ${JSON.stringify(unit)}`);
  }
});
