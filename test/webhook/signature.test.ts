/** What we sign is verified by the official library of Standard Webhooks. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { signatureHeaders } from '../../src/webhook/signature.ts';
import { isWeakKey, parseWebhookSecrets } from '../../src/webhook/webhook-keys.ts';

const SECRETS = [24, 32, 64].map((size) => `whsec_${randomBytes(size).toString('base64')}`);
const BODY = '{"results":[{"prompt_id":"a","prompt":"ein Füchslein 🦊 \\ud800","image_url":"gs://b/a.png"}]}';

test('the official library verifies every signature, with each of the secrets while they are rotated', () => {
  const now = Math.floor(Date.now() / 1000);
  const headers = signatureHeaders(
    { id: 'msg_1', timestampSeconds: now, body: BODY },
    parseWebhookSecrets(SECRETS.join(', ')),
  );
  for (const secret of SECRETS) assert.deepEqual(new Webhook(secret).verify(BODY, headers), JSON.parse(BODY));
});

test('the official library refuses another body, another id, another time and another secret', () => {
  const now = Math.floor(Date.now() / 1000);
  const headers = signatureHeaders(
    { id: 'msg_1', timestampSeconds: now, body: BODY },
    parseWebhookSecrets(SECRETS[0] as string),
  );
  const webhook = new Webhook(SECRETS[0] as string);
  assert.throws(() => webhook.verify(`${BODY} `, headers));
  assert.throws(() => webhook.verify(BODY, { ...headers, 'webhook-id': 'msg_2' }));
  assert.throws(() => webhook.verify(BODY, { ...headers, 'webhook-timestamp': String(now - 1) }));
  assert.throws(() => new Webhook(SECRETS[1] as string).verify(BODY, headers));
});

test('without a secret there is an id and a time, and no signature', () => {
  const headers = signatureHeaders({ id: 'msg_1', timestampSeconds: 5, body: '' }, parseWebhookSecrets(''));
  assert.deepEqual(headers, { 'webhook-id': 'msg_1', 'webhook-timestamp': '5' });
});

test('a secret that is too short, too long or not base64 is refused and never quoted', () => {
  for (const secret of [
    'whsec_',
    'hunter2',
    `whsec_${randomBytes(23).toString('base64')}`,
    randomBytes(65).toString('base64'),
    'ä'.repeat(40),
  ])
    assert.throws(
      () => parseWebhookSecrets(secret),
      (error) =>
        error instanceof Text2ImgError &&
        error.code === 'invalid_option' &&
        !(secret.length > 6 && error.message.includes(secret)),
    );
});

test('a secret that everybody knows is refused: zeros, and the example of the specification', () => {
  // The example of standardwebhooks.com, specification 1.0.
  for (const secret of [Buffer.alloc(24).toString('base64'), 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])
    assert.throws(() => parseWebhookSecrets(`whsec_${secret}`), {
      code: 'invalid_option',
      message: /everybody knows it/,
    });
});

test('a few bytes repeated are a weak key, random ones are not', () => {
  for (const key of [Buffer.alloc(64, 0xff), Buffer.from('abcabcabcabcabcabcabcabc')]) assert.ok(isWeakKey(key));
  for (const size of [24, 32, 64]) assert.ok(!isWeakKey(randomBytes(size)));
});
