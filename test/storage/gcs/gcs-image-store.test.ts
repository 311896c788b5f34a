/** Pictures in a bucket: the contract against two servers, and what only a network can do to it. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { type Logger, silentLogger } from '../../../src/observability/logger.ts';
import { GcsImageStore, type GcsImageStoreOptions } from '../../../src/storage/gcs/gcs-image-store.ts';
import type { ImageObject } from '../../../src/storage/image-store.ts';
import { findFakeGcsServer, NO_FAKE_GCS_SERVER, startFakeGcsServer } from '../../servers/fake-gcs-server.ts';
import { type Fault, GcsServer } from '../../servers/gcs-server.ts';
import { imageStoreConformance } from '../image-store-conformance.ts';

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

test('a try that is given up closes its connection, so that nothing keeps the process alive', async (t) => {
  const server = await startServer(t);
  plan(server, { kind: 'stall' }, { kind: 'stall' });
  assert.equal((await storeAt(server.url, { tryMs: 200 }).put(OBJECT, always)).outcome, 'created');
  await settles(() => server.stalled === 0);
  server.fault = () => ({ kind: 'stall' });
  await assert.rejects(storeAt(server.url).put(OBJECT, { ...always, signal: AbortSignal.timeout(100) }));
  await settles(() => server.stalled === 0);
});

async function settles(isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < 3000 && !isSo(); waitedMs += 10) await sleep(10);
  assert.ok(isSo(), String(isSo));
}

test('a server that asks for a pause gets it', async (t) => {
  const server = await startServer(t);
  plan(server, { kind: 'status', status: 429, retryAfterSeconds: 1 });
  await storeAt(server.url).put(OBJECT, always);
  const [first, second] = server.requests.map(({ atMs }) => atMs);
  assert.ok(first !== undefined && second !== undefined && second - first >= 1000, `${first} ${second}`);
});

test('an upload that is refused while the bucket takes others is refused for good, after two tries and a probe behind each', async (t) => {
  const server = await startServer(t);
  for (const [status, reason] of [
    [400, 'invalid'],
    [403, 'retentionPolicyNotMet'],
    [404, 'notFound'],
    [412, 'orgPolicyViolated'],
    [413, 'uploadTooLarge'],
  ] as const) {
    server.requests.length = 0;
    server.fault = ({ object }) =>
      object === OBJECT.name ? { kind: 'status', status, reason, message: `no: ${reason}.` } : undefined;
    await assert.rejects(
      storeAt(server.url).put(OBJECT, always),
      failsWith('store_refused', OBJECT.name, `no: ${reason}`),
    );
    assert.deepEqual(
      server.requests.map(({ object }) => object),
      [OBJECT.name, 'generated/.text2img-probe', OBJECT.name, 'generated/.text2img-probe'],
    );
  }
});

test('a bucket that was mended between the refusal of an upload and the probe takes the image', async (t) => {
  const server = await startServer(t);
  let refusals = 0;
  server.fault = ({ kind, object }) =>
    kind === 'upload' && object === OBJECT.name && refusals++ === 0
      ? { kind: 'status', status: 403, reason: 'accountDisabled', message: 'billing' }
      : undefined;
  const { outcome } = await storeAt(server.url).put(OBJECT, always);
  assert.equal(outcome, 'created');
});

test('an upload that is refused like every other is trouble of the bucket, with the bucket’s reason', async (t) => {
  const server = await startServer(t);
  for (const [status, reason, code] of [
    [400, 'kmsKeyDisabled', 'store_failed'],
    [403, 'accountDisabled', 'store_unwritable'],
    [404, 'notFound', 'store_unwritable'],
    [412, 'orgPolicyViolated', 'store_failed'],
    [401, 'authError', 'store_unwritable'],
  ] as const) {
    server.fault = ({ kind }) => (kind === 'upload' ? { kind: 'status', status, reason, message: reason } : undefined);
    await assert.rejects(storeAt(server.url).put(OBJECT, always), failsWith(code, BUCKET));
    await assert.rejects(storeAt(server.url).probe({ sizeBytes: 1 }), failsWith(code, BUCKET));
  }
});

test('bytes that were damaged on their way are no refusal, and a probe that meets another one is none either', async (t) => {
  const server = await startServer(t);
  plan(server, { kind: 'corrupt' });
  assert.equal((await storeAt(server.url).put(OBJECT, always)).outcome, 'created');
  await storeAt(server.url).probe({ sizeBytes: 1 });
  await storeAt(server.url).probe({ sizeBytes: 1 });
  assert.equal(server.history.get('generated/.text2img-probe')?.length, 1);
});

test('the probe lies under the prefix', async (t) => {
  const server = await startServer(t);
  await storeAt(server.url, { prefix: 'team/a/' }).probe({ sizeBytes: 1 });
  assert.deepEqual([...server.history.keys()], ['team/a/.text2img-probe']);
});

const PAGE = '<html><body>Please log in</body></html>';
const ELSEWHERE = { kind: 'storage#object', name: 'generated/b.png', bucket: BUCKET, generation: '7', size: '9' };
for (const [what, body] of [
  ['a log-in page', PAGE],
  ['nothing', ''],
  ['null', 'null'],
  ['a list', '[]'],
  ['an object without a generation', JSON.stringify({ ...ELSEWHERE, name: OBJECT.name, generation: undefined })],
  ['another object', JSON.stringify(ELSEWHERE)],
  ['another bucket’s object', JSON.stringify({ ...ELSEWHERE, name: OBJECT.name, bucket: 'other' })],
  [
    'an object with other bytes',
    JSON.stringify({ ...ELSEWHERE, name: OBJECT.name, md5Hash: 'AAAAAAAAAAAAAAAAAAAAAA==' }),
  ],
  ['an object without a sum', JSON.stringify({ ...ELSEWHERE, name: OBJECT.name })],
  ['an error in a 200', JSON.stringify({ error: { code: 404, message: 'not here' } })],
] as const) {
  test(`an upload that is answered with ${what} is not believed, but repeated`, async (t) => {
    const server = await startServer(t);
    plan(server, { kind: 'answer', status: 200, body });
    assert.equal((await storeAt(server.url).put(OBJECT, always)).outcome, 'created');
    assert.equal(server.object(OBJECT.name)?.bytes.toString(), 'the bytes');
    server.fault = () => ({ kind: 'answer', status: 200, body });
    await assert.rejects(
      storeAt(server.url, { deadlineMs: 300 }).put(OBJECT, always),
      failsWith('store_failed', BUCKET),
    );
  });
}

for (const body of [PAGE, '{}', JSON.stringify({ error: { code: 404, message: 'not here' } })]) {
  test(`a look that is answered with ${body.slice(0, 20)} is neither an object nor none`, async (t) => {
    const server = await startServer(t);
    await storeAt(server.url).put(OBJECT, always);
    plan(server, undefined, { kind: 'answer', status: 200, body });
    assert.equal((await storeAt(server.url).put(OBJECT, always)).outcome, 'adopted');
    plan(server, { kind: 'answer', status: 200, body });
    assert.deepEqual((await storeAt(server.url).find(OBJECT.name))?.metadata, OBJECT.metadata);
  });
}

test('an object that is held or retained says so before anybody draws for it', async (t) => {
  const server = await startServer(t);
  const store = storeAt(server.url);
  await store.put(OBJECT, always);
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  for (const [facts, said] of [
    [{ temporaryHold: true }, /temporary hold/],
    [{ eventBasedHold: true }, /event-based hold/],
    [{ retentionExpirationTime: inAnHour }, /retained until/],
    [{ retentionExpirationTime: '2001-01-01T00:00:00Z', temporaryHold: false }, /^undefined$/],
  ] as const) {
    server.facts.set(OBJECT.name, facts);
    assert.match(String((await store.find(OBJECT.name))?.refusal), said);
  }
});

test('a slow upload may take longer than a silence is borne', async (t) => {
  const server = await startServer(t);
  const png = new Uint8Array(12_000_000);
  server.bytesPerSecond = 6_000_000;
  const startedMs = performance.now();
  const { outcome } = await storeAt(server.url, { tryMs: 1500, deadlineMs: 4000 }).put({ ...OBJECT, png }, always);
  assert.equal(outcome, 'created');
  assert.equal(server.requests.length, 1);
  assert.ok(performance.now() - startedMs > 1500, 'it was slow');
});

test('a silent try ends with its request’s deadline', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t);
  server.fault = () => ({ kind: 'stall' });
  await assert.rejects(storeAt(server.url, { deadlineMs: 200 }).check(), failsWith('store_failed', BUCKET));
  await assert.rejects(storeAt(server.url, { deadlineMs: 200 }).find('x'), failsWith('store_failed', BUCKET));
  await assert.rejects(
    storeAt(server.url, { deadlineMs: 200 }).probe({ sizeBytes: 1 }),
    failsWith('store_failed', BUCKET),
  );
});

test('a check that hangs ends with the signal', { timeout: 10_000 }, async (t) => {
  const server = await startServer(t);
  server.fault = () => ({ kind: 'stall' });
  const signal = AbortSignal.timeout(50);
  await assert.rejects(storeAt(server.url).check({ signal }), { name: 'TimeoutError' });
});

test('permission to replace is asked again before every try', async (t) => {
  const server = await startServer(t);
  const store = storeAt(server.url);
  await store.put(OBJECT, always);
  const heir = { ...OBJECT, metadata: { ...OBJECT.metadata, runId: 'run-2' }, png: new TextEncoder().encode('heir') };
  plan(server, undefined, undefined, { kind: 'drop' });
  let asked = 0;
  const { outcome } = await store.put(heir, { mayReplace: async () => ++asked === 1 });
  assert.deepEqual([outcome, asked, server.object(OBJECT.name)?.bytes.toString()], ['superseded', 2, 'the bytes']);
});

test('a replacement whose answer was lost is adopted, with one new generation', async (t) => {
  const server = await startServer(t);
  const store = storeAt(server.url);
  await store.put(OBJECT, always);
  const heir = { ...OBJECT, metadata: { ...OBJECT.metadata, runId: 'run-2' } };
  plan(server, undefined, undefined, { kind: 'commit-then-drop' });
  assert.equal((await store.put(heir, always)).outcome, 'adopted');
  assert.equal(server.history.get(OBJECT.name)?.length, 2);
});

for (const [what, docKey] of [
  ['contains what the client library takes for a placeholder', '{"_id":"{{projectId}}"}'],
  ['does not fit into an object’s metadata', `{"_id":"${'x'.repeat(10_000)}"}`],
  ['is not ASCII', '{"_id":"ключ 🗝"}'],
] as const) {
  test(`a document whose key ${what} is still told from others`, async (t) => {
    const store = storeAt((await startServer(t)).url);
    const mine = { ...OBJECT, metadata: { ...OBJECT.metadata, docKey } };
    const strange = { ...OBJECT, metadata: { ...OBJECT.metadata, docKey: docKey.replace('_id', '_ie') } };
    const outcomes = [];
    for (const object of [mine, mine, strange]) outcomes.push((await store.put(object, always)).outcome);
    assert.deepEqual(outcomes, ['created', 'adopted', 'foreign']);
    if (docKey.length < 4096) assert.deepEqual((await store.find(OBJECT.name))?.metadata, mine.metadata);
  });
}

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
