/** Images out of a bucket: what a request costs there. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '../../../src/observability/logger.ts';
import { GcsImageStore } from '../../../src/storage/gcs/gcs-image-store.ts';
import { GcsServer } from '../../servers/gcs-server.ts';
import { createAndWait, pathOf } from '../jobs/client.ts';
import { serve } from '../served.ts';

const SIZE_BYTES = 2_500_000;

interface InBucket {
  readonly bucket: GcsServer;
  readonly url: string;
  readonly png: Uint8Array;
  /** The ranges of the downloads since the last call; undefined: the whole object. */
  readonly downloads: () => readonly (string | undefined)[];
}

/** A server whose front reads from a bucket, with one large image there. */
async function imageInBucket(t: TestContext): Promise<InBucket> {
  const bucket = await GcsServer.start({ bucket: 'pictures' });
  t.after(() => bucket[Symbol.asyncDispose]());
  const store = new GcsImageStore({
    bucket: 'pictures',
    logger: silentLogger,
    credentialsFile: undefined,
    apiEndpoint: bucket.url,
  });
  const served = await serve(t, { front: { store } });
  const { id } = await createAndWait(served, { text: 'a' });
  const png = randomBytes(SIZE_BYTES);
  const { docKey } = (await served.queue.identify(String(id))) ?? assert.fail();
  const metadata = { runId: 'r', docKey, seed: 0, model: 'instant' };
  await store.put({ name: `generated/${String(id)}.png`, png, metadata }, { mayReplace: async () => true });
  const downloads = (): readonly (string | undefined)[] =>
    bucket.requests
      .splice(0)
      .filter(({ kind }) => kind === 'download')
      .map(({ range }) => range);
  return { bucket, url: `${served.url}${pathOf(id, '/images/0.png')}`, png, downloads };
}

test('the whole image is what is in the bucket, with its length and its tag', async (t) => {
  const { url, png, downloads } = await imageInBucket(t);
  const answer = await fetch(url);
  assert.deepEqual([answer.status, answer.headers.get('content-length')], [200, String(SIZE_BYTES)]);
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(png));
  assert.equal(downloads().length, 3);
});

test('a HEAD and a copy that is still good read no byte of the object', async (t) => {
  const { url, downloads } = await imageInBucket(t);
  const head = await fetch(url, { method: 'HEAD' });
  const etag = head.headers.get('etag') ?? assert.fail();
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(SIZE_BYTES)]);
  const known = await fetch(url, { headers: { 'if-none-match': etag } });
  assert.deepEqual([known.status, await known.text()], [304, '']);
  assert.deepEqual(downloads(), []);
});

test('a range reads its own bytes alone', async (t) => {
  const { url, png, downloads } = await imageInBucket(t);
  const part = await fetch(url, { headers: { range: 'bytes=-100' } });
  assert.deepEqual([part.status, part.headers.get('content-length')], [206, '100']);
  assert.ok(Buffer.from(await part.arrayBuffer()).equals(png.subarray(-100)));
  assert.deepEqual(downloads(), [`bytes=${SIZE_BYTES - 100}-${SIZE_BYTES - 1}`]);
});

test('a bucket that fails before the first byte is a status, and later a broken connection, never a short image', async (t) => {
  const { bucket, url } = await imageInBucket(t);
  bucket.fault = ({ kind }) => (kind === 'download' ? { kind: 'status', status: 403 } : undefined);
  const refused = await fetch(url);
  assert.ok(refused.status >= 500, String(refused.status));
  assert.match(refused.headers.get('content-type') ?? '', /problem\+json/);
  for (const name of ['etag', 'cache-control', 'content-disposition'])
    assert.equal(refused.headers.get(name), null, name);
  assert.ok((JSON.parse(await refused.text()) as { code?: unknown }).code !== undefined);
  let downloads = 0;
  bucket.fault = ({ kind }) => (kind === 'download' && ++downloads > 1 ? { kind: 'status', status: 403 } : undefined);
  const broken = await fetch(url);
  assert.equal(broken.status, 200);
  await assert.rejects(broken.arrayBuffer());
});
