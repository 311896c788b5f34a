/** Pictures in a bucket: the contract against two servers, and what only a network can do to it. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { type Logger, silentLogger } from '../../src/observability/logger.ts';
import { GcsImageStore, type GcsImageStoreOptions } from '../../src/storage/gcs-image-store.ts';
import type { ImageObject } from '../../src/storage/image-store.ts';
import { checkCanSign } from '../../src/storage/google-credentials.ts';
import { publicUrlUnder } from '../../src/storage/public-url.ts';
import { LONGEST_DELIVERY_MS } from '../../src/webhook/retry-schedule.ts';
import { findFakeGcsServer, NO_FAKE_GCS_SERVER, startFakeGcsServer } from '../servers/fake-gcs-server.ts';
import { type Fault, GcsServer } from '../servers/gcs-server.ts';
import { imageStoreConformance } from './image-store-conformance.ts';

const BUCKET = 'pictures';

function storeAt(apiEndpoint: string, changes: Partial<GcsImageStoreOptions> = {}): GcsImageStore {
  return new GcsImageStore({
    bucket: BUCKET,
    logger: silentLogger,
    credentialsFile: undefined,
    apiEndpoint,
    ...changes,
  });
}

async function startServer(t: TestContext): Promise<GcsServer> {
  const server = await GcsServer.start({ bucket: BUCKET });
  t.after(() => server[Symbol.asyncDispose]());
  return server;
}

imageStoreConformance('GcsImageStore on the tests’ own server', async (t) => {
  const server = await startServer(t);
  return {
    store: storeAt(server.url),
    read: async (name) => server.object(name)?.bytes ?? assert.fail(`no object ${name}`),
    plant: async (name, bytes) => void server.put(name, bytes),
  };
});

const binary = await findFakeGcsServer();
if (binary === undefined) test('GcsImageStore on fake-gcs-server keeps the contract', { skip: NO_FAKE_GCS_SERVER });
else {
  imageStoreConformance('GcsImageStore on fake-gcs-server', async (t) => {
    const server = await startFakeGcsServer(binary, BUCKET);
    t.after(() => server[Symbol.asyncDispose]());
    const object = (name: string): string => encodeURIComponent(name);
    return {
      store: storeAt(server.url),
      read: async (name) =>
        new Uint8Array(
          await (await fetch(`${server.url}/storage/v1/b/${BUCKET}/o/${object(name)}?alt=media`)).arrayBuffer(),
        ),
      plant: async (name, bytes) => {
        const url = `${server.url}/upload/storage/v1/b/${BUCKET}/o?uploadType=media&name=${object(name)}`;
        assert.ok((await fetch(url, { method: 'POST', body: new Uint8Array(bytes) })).ok);
      },
    };
  });
}

const OBJECT: ImageObject = {
  name: 'generated/a.png',
  png: new TextEncoder().encode('the bytes'),
  metadata: { runId: 'run-1', docKey: '{"_id":"a"}', seed: 5, model: 'demo' },
};
const always = { mayReplace: async () => true };

/** The faults in order, one per request; then none. */
function plan(server: GcsServer, ...faults: readonly (Fault | undefined)[]): void {
  const left = [...faults];
  server.fault = () => left.shift();
}

function failsWith(code: string, ...parts: readonly string[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Text2ImgError, String(error));
    assert.equal(error.code, code);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  };
}

test('an upload whose answer was lost is adopted, and the object has one generation', async (t) => {
  const server = await startServer(t);
  plan(server, { kind: 'commit-then-drop' });
  assert.equal((await storeAt(server.url).put(OBJECT, always)).outcome, 'adopted');
  assert.equal(server.history.get(OBJECT.name)?.length, 1);
});

for (const fault of [
  { kind: 'drop' },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 429 },
  { kind: 'stall' },
  { kind: 'corrupt' },
] as const satisfies readonly Fault[]) {
  test(`an upload that meets "${fault.kind}" twice is repeated, and its bytes are right`, async (t) => {
    const server = await startServer(t);
    plan(server, fault, fault);
    assert.equal((await storeAt(server.url, { tryMs: 300 }).put(OBJECT, always)).outcome, 'created');
    assert.deepEqual(
      server.history.get(OBJECT.name)?.map(({ bytes }) => bytes.toString()),
      ['the bytes'],
    );
    assert.equal(server.requests.length, 3);
  });
}

test('every upload carries a precondition: 0 to create, the generation that was read to replace', async (t) => {
  const server = await startServer(t);
  const store = storeAt(server.url);
  await store.put(OBJECT, always);
  const first = server.object(OBJECT.name)?.generation;
  await store.put({ ...OBJECT, metadata: { ...OBJECT.metadata, runId: 'run-2' } }, always);
  const uploads = server.requests
    .filter(({ kind }) => kind === 'upload')
    .map(({ ifGenerationMatch }) => ifGenerationMatch);
  assert.deepEqual(uploads, ['0', '0', String(first)]);
});

test('a zombie that was allowed to replace does not overwrite what was written since', async (t) => {
  const server = await startServer(t);
  const store = storeAt(server.url);
  await store.put(OBJECT, always);
  const heir = { ...OBJECT, metadata: { ...OBJECT.metadata, runId: 'run-3' }, png: new TextEncoder().encode('heir') };
  const asked: number[] = [];
  const zombie = { ...OBJECT, metadata: { ...OBJECT.metadata, runId: 'run-2' } };
  const { outcome } = await store.put(zombie, {
    mayReplace: async () => {
      asked.push(asked.length);
      // Between its permission and its write the heir writes; asked again, it has lost.
      if (asked.length === 1) await store.put(heir, always);
      return asked.length === 1;
    },
  });
  assert.deepEqual([outcome, asked.length, server.object(OBJECT.name)?.bytes.toString()], ['superseded', 2, 'heir']);
});

test('an object that vanishes between the conflict and the look is created after all', async (t) => {
  const server = await startServer(t);
  await storeAt(server.url).put(OBJECT, always);
  server.fault = ({ kind }) => {
    if (kind === 'metadata') server.history.delete(OBJECT.name);
    return undefined;
  };
  const another = { ...OBJECT, metadata: { ...OBJECT.metadata, runId: 'run-2' } };
  assert.equal((await storeAt(server.url).put(another, always)).outcome, 'created');
});

test('a bucket that fails for longer than the deadline is store_failed, a retryable fault', async (t) => {
  const server = await startServer(t);
  server.fault = () => ({ kind: 'status', status: 503 });
  const put = storeAt(server.url, { deadlineMs: 300 }).put(OBJECT, always);
  await assert.rejects(put, failsWith('store_failed', BUCKET));
});

test('an aborted upload that hangs ends at once', async (t) => {
  const server = await startServer(t);
  server.fault = () => ({ kind: 'stall' });
  await assert.rejects(storeAt(server.url).put(OBJECT, { ...always, signal: AbortSignal.timeout(50) }), {
    name: 'TimeoutError',
  });
});

test('the check finds a missing bucket, missing permissions and a server that is not there', async (t) => {
  const server = await startServer(t);
  await assert.rejects(
    storeAt(server.url, { bucket: 'no-such-bucket' }).check(),
    failsWith('store_unwritable', 'no-such-bucket'),
  );
  server.permissions = ['storage.objects.get'];
  await assert.rejects(
    storeAt(server.url).check(),
    failsWith('store_unwritable', 'storage.objects.create', 'roles/storage.objectUser'),
  );
  server.permissions = ['storage.objects.get', 'storage.objects.create'];
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warning: (message) => warnings.push(message) };
  await storeAt(server.url, { logger }).check();
  assert.equal(warnings.length, 1);
  server.permissions = undefined;
  await storeAt(server.url).check();
  server.fault = () => ({ kind: 'status', status: 403 });
  await assert.rejects(storeAt(server.url).check(), failsWith('store_unwritable', BUCKET));
  const nobody = storeAt('http://127.0.0.1:9', { deadlineMs: 200 });
  await assert.rejects(nobody.check(), failsWith('store_failed', BUCKET));
});

interface Key {
  readonly path: string;
  write(content: object | string): Promise<void>;
}

async function makeKeyFile(t: TestContext): Promise<Key> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-key-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'gcp-key.json');
  return { path, write: (content) => writeFile(path, typeof content === 'string' ? content : JSON.stringify(content)) };
}

test('a key file that is missing, unreadable or no key is named, before anything else', async (t) => {
  const key = await makeKeyFile(t);
  const store = (): GcsImageStore =>
    new GcsImageStore({
      bucket: BUCKET,
      logger: silentLogger,
      credentialsFile: key.path,
      apiEndpoint: undefined,
      deadlineMs: 500,
    });
  await assert.rejects(store().check(), failsWith('store_unwritable', key.path, 'GOOGLE_APPLICATION_CREDENTIALS'));
  await key.write('not json');
  await assert.rejects(store().check(), failsWith('store_unwritable', key.path));
  await chmod(key.path, 0);
  // Root may read everything.
  if (process.getuid?.() !== 0) await assert.rejects(store().check(), failsWith('store_unwritable', '--user'));
});

test('a signed link is a V4 link that outlives the last try of a webhook', async (t) => {
  const key = await makeKeyFile(t);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await key.write({ type: 'service_account', client_email: 'x@y.iam.gserviceaccount.com', private_key: pem });
  checkCanSign(key.path);
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = key.path;
  const store = new GcsImageStore({
    bucket: BUCKET,
    logger: silentLogger,
    credentialsFile: key.path,
    apiEndpoint: undefined,
  });
  const url = new URL(await store.signedUrl(`gs://${BUCKET}/generated/ä b.png`));
  assert.equal(url.searchParams.get('X-Goog-Algorithm'), 'GOOG4-RSA-SHA256');
  assert.ok(Number(url.searchParams.get('X-Goog-Expires')) * 1000 >= LONGEST_DELIVERY_MS);
  assert.ok(url.pathname.endsWith('/generated/%C3%A4%20b.png'), url.pathname);
});

test('links are not signed with credentials that end before the last try', async (t) => {
  const key = await makeKeyFile(t);
  assert.throws(() => checkCanSign(undefined), failsWith('conflicting_options', 'there is none'));
  await key.write({ type: 'authorized_user', refresh_token: 'secret' });
  assert.throws(() => checkCanSign(key.path), failsWith('conflicting_options', 'authorized_user'));
  assert.throws(() => checkCanSign(`${key.path}.missing`), failsWith('store_unwritable', 'no such file'));
});

test('a public URL is the base and the name, each part encoded', () => {
  assert.equal(
    publicUrlUnder('https://cdn.example/x/', 'gs://b/generated/ä b.2.png'),
    'https://cdn.example/x/generated/%C3%A4%20b.2.png',
  );
});
