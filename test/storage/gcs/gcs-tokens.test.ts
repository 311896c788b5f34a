/** Tokens of a real account: one that the bucket does not accept any more, and a token service that refuses or hangs. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { googleSettings } from '../../../src/config/google.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { GcsImageStore } from '../../../src/storage/gcs/gcs-image-store.ts';
import { GcsServer } from '../../servers/gcs-server.ts';
import { GoogleProxy } from '../../servers/google-proxy.ts';

const OBJECT = {
  name: 'generated/a.png',
  png: new TextEncoder().encode('the bytes'),
  metadata: { runId: 'run-1', docKey: '{"_id":"a"}', seed: 5, model: 'demo' },
};
const always = { mayReplace: async () => true };
const NO_OPENSSL = 'NOT RUN: tokens of a real account, because there is no openssl to make a certificate with';

interface Google {
  readonly bucket: GcsServer;
  readonly proxy: GoogleProxy;
  readonly store: GcsImageStore;
}

async function startGoogle(t: TestContext): Promise<Google | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-google-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const bucket = await GcsServer.start();
  t.after(() => bucket[Symbol.asyncDispose]());
  const proxy = await GoogleProxy.start(folder, bucket.url);
  if (proxy === undefined) return undefined;
  t.after(() => proxy[Symbol.asyncDispose]());
  setDefaultCACertificates([...getCACertificates('default'), proxy.certificate]);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = {
    type: 'service_account',
    client_email: 'sa@p.iam.gserviceaccount.com',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token_uri: 'https://oauth2.googleapis.com/token',
  };
  const path = join(folder, 'key.json');
  await writeFile(path, JSON.stringify(key));
  // Google's client reads both from the environment by itself.
  const before = { ...process.env };
  t.after(() => {
    process.env = before;
  });
  Object.assign(process.env, { GOOGLE_APPLICATION_CREDENTIALS: path, HTTPS_PROXY: proxy.url });
  for (const name of ['https_proxy', 'NO_PROXY', 'no_proxy', 'STORAGE_EMULATOR_HOST']) delete process.env[name];
  const options = { bucket: 'pictures', logger: silentLogger, deadlineMs: 20_000 };
  return { bucket, proxy, store: new GcsImageStore({ ...options, ...googleSettings(process.env) }) };
}

function failsWith(code: string, part: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Text2ImgError, String(error));
    assert.ok(error.code === code && error.message.includes(part), error.message);
    return true;
  };
}

test('a token that the bucket does not accept any more is replaced within the same request', async (t) => {
  const google = await startGoogle(t);
  if (google === undefined) return t.skip(NO_OPENSSL);
  const { bucket, proxy, store } = google;
  await store.check();
  assert.equal(proxy.tokens, 1);
  let refused = 0;
  bucket.fault = () => (++refused === 1 ? { kind: 'status', status: 401, message: 'Invalid Credentials' } : undefined);
  assert.equal((await store.put(OBJECT, always)).outcome, 'created');
  assert.equal(proxy.tokens, 2);
  await store.put({ ...OBJECT, name: 'generated/b.png' }, always);
  assert.equal(proxy.tokens, 2, 'the new one is kept');
});

test('an account that the bucket never accepts costs one token more, and is trouble', async (t) => {
  const google = await startGoogle(t);
  if (google === undefined) return t.skip(NO_OPENSSL);
  const { bucket, proxy, store } = google;
  await store.check();
  bucket.fault = () => ({ kind: 'status', status: 401, message: 'Invalid Credentials' });
  await assert.rejects(store.put(OBJECT, always), failsWith('store_unwritable', 'Invalid Credentials'));
  assert.equal(proxy.tokens, 2);
  assert.equal(bucket.requests.filter(({ kind }) => kind === 'upload').length, 2);
});

test('a key that was deleted is trouble; when the token service gives tokens again, the same store goes on', async (t) => {
  const google = await startGoogle(t);
  if (google === undefined) return t.skip(NO_OPENSSL);
  const { proxy, store } = google;
  const give = proxy.token;
  const refuse = { error: 'invalid_grant', error_description: 'Invalid grant: account not found' };
  proxy.token = () => ({ status: 400, json: refuse });
  for (const ask of [() => store.check(), () => store.put(OBJECT, always), () => store.probe({ sizeBytes: 1 })])
    await assert.rejects(ask, failsWith('store_unwritable', 'invalid_grant'));
  proxy.token = give;
  await store.probe({ sizeBytes: 1 });
  assert.equal((await store.put(OBJECT, always)).outcome, 'created');
});

test('a clock that is wrong is named', async (t) => {
  const google = await startGoogle(t);
  if (google === undefined) return t.skip(NO_OPENSSL);
  const description = 'Invalid JWT: Token must be a short-lived token. Check your iat and exp values in the JWT claim.';
  google.proxy.token = () => ({ status: 400, json: { error: 'invalid_grant', error_description: description } });
  await assert.rejects(google.store.check(), failsWith('store_unwritable', 'clock'));
});
