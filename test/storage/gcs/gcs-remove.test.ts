/** Deleting an object of a bucket: rights that are missing, lost answers, and objects that change meanwhile. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { GcsImageStore } from '../../../src/storage/gcs/gcs-image-store.ts';
import type { ImageObject } from '../../../src/storage/image-store.ts';
import { type Fault, GcsServer } from '../../servers/gcs-server.ts';

const OBJECT: ImageObject = {
  name: 'generated/a.png',
  png: new TextEncoder().encode('the bytes'),
  metadata: { runId: 'run-1', docKey: '{"_id":"a"}', seed: 5, model: 'demo' },
};

interface Place {
  readonly server: GcsServer;
  readonly store: GcsImageStore;
}

/** With the object in it. */
async function startBucket(t: TestContext): Promise<Place> {
  const server = await GcsServer.start({ bucket: 'pictures' });
  t.after(() => server[Symbol.asyncDispose]());
  const options = { logger: silentLogger, credentialsFile: undefined, apiEndpoint: server.url };
  const store = new GcsImageStore({ bucket: 'pictures', ...options });
  await store.put(OBJECT, { mayReplace: async () => true });
  return { server, store };
}

test('an object that may not be deleted stays, and the sentence names the right that is missing', async (t) => {
  const { server, store } = await startBucket(t);
  for (const [status, reason] of [
    [403, 'forbidden'],
    [403, 'retentionPolicyNotMet'],
    [412, 'orgPolicyViolated'],
  ] as const) {
    server.fault = ({ method }) =>
      method === 'DELETE' ? { kind: 'status', status, reason, message: `no: ${reason}.` } : undefined;
    await assert.rejects(store.remove(OBJECT.name, OBJECT.metadata.docKey), (error) => {
      assert.ok(error instanceof Text2ImgError && error.code === 'store_refused', String(error));
      for (const part of [OBJECT.name, `no: ${reason}`, 'storage.objects.delete'])
        assert.ok(error.message.includes(part), error.message);
      return true;
    });
  }
  assert.equal(server.object(OBJECT.name)?.bytes.toString(), 'the bytes');
});

test('a deletion whose answer was lost is done, and one that meets a fault is repeated', async (t) => {
  const { server, store } = await startBucket(t);
  const left: Fault[] = [{ kind: 'status', status: 503 }, { kind: 'commit-then-drop' }];
  server.fault = ({ method }) => (method === 'DELETE' ? left.shift() : undefined);
  const outcome = await store.remove(OBJECT.name, OBJECT.metadata.docKey);
  assert.ok(['removed', 'absent'].includes(outcome), outcome);
  assert.deepEqual([server.object(OBJECT.name), left], [undefined, []]);
});

test('an object that another run writes between the look and the deletion is looked at again', async (t) => {
  const { server, store } = await startBucket(t);
  let isWritten = false;
  server.fault = ({ method }) => {
    const stored = server.object(OBJECT.name);
    if (method === 'DELETE' && !isWritten && stored !== undefined) {
      isWritten = true;
      server.put(OBJECT.name, Buffer.from('another document'), { ...stored.metadata, doc_key: '{"_id":"b"}' });
    }
    return undefined;
  };
  assert.equal(await store.remove(OBJECT.name, OBJECT.metadata.docKey), 'foreign');
  assert.equal(server.object(OBJECT.name)?.bytes.toString(), 'another document');
});
