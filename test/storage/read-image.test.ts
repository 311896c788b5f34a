/** Reading images: what may happen between the look at an object and its bytes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { GcsImageStore } from '../../src/storage/gcs/gcs-image-store.ts';
import type { ImageObject } from '../../src/storage/image-store.ts';
import { allOf } from '../lib/all-of.ts';
import { GcsServer } from '../servers/gcs-server.ts';

const NAME = 'generated/a.png';
const always = { mayReplace: async () => true };

function imageOf(run: number): ImageObject {
  const metadata = { runId: `run-${run}`, docKey: '{"_id":"a"}', seed: run, model: 'demo' };
  return { name: NAME, png: new TextEncoder().encode(`image of run-${run}`), metadata };
}

async function bucket(t: TestContext): Promise<{ readonly server: GcsServer; readonly store: GcsImageStore }> {
  const server = await GcsServer.start({ bucket: 'pictures' });
  t.after(() => server[Symbol.asyncDispose]());
  const options = { bucket: 'pictures', logger: silentLogger, credentialsFile: undefined, apiEndpoint: server.url };
  return { server, store: new GcsImageStore(options) };
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

test('an object that is replaced between the look and the download is read as it is now, with its own metadata', async (t) => {
  const { server, store } = await bucket(t);
  await store.put(imageOf(1), always);
  const { metadata } = server.object(NAME) ?? {};
  server.fault = ({ kind }) => {
    if (kind !== 'download' || server.history.get(NAME)?.length === 2) return undefined;
    server.put(NAME, imageOf(2).png, { ...metadata, runId: 'run-2' });
    return undefined;
  };
  const read = await store.read(NAME, { maxBytes: 100 });
  assert.equal(text(read?.bytes), 'image of run-2');
  assert.equal(read?.generation, String(server.object(NAME)?.generation));
});

test('an object that is deleted between the look and the download is no object', async (t) => {
  const { server, store } = await bucket(t);
  await store.put(imageOf(1), always);
  server.fault = ({ kind }) => {
    if (kind === 'download') server.history.delete(NAME);
    return undefined;
  };
  assert.equal(await store.read(NAME, { maxBytes: 100 }), undefined);
});

test('damaged bytes and a broken connection are read again', async (t) => {
  const { server, store } = await bucket(t);
  await store.put(imageOf(1), always);
  const faults = ['corrupt', 'drop', undefined] as const;
  let downloads = 0;
  server.fault = ({ kind }) => {
    const fault = kind === 'download' ? faults[downloads++] : undefined;
    return fault === undefined ? undefined : { kind: fault };
  };
  assert.equal(text((await store.read(NAME, { maxBytes: 100 }))?.bytes), 'image of run-1');
  assert.equal(downloads, 3);
});

test('an object whose size the bucket does not tell is not read beyond the bound', async (t) => {
  const { server, store } = await bucket(t);
  server.put(NAME, new Uint8Array(5_000_000));
  server.facts.set(NAME, { size: undefined });
  await assert.rejects(
    store.read(NAME, { maxBytes: 1_000_000 }),
    (error) =>
      error instanceof Text2ImgError && error.code === 'image_too_large' && /more than 1000000/.test(error.message),
  );
});

test('what is read of a folder while others write is always one image with its own metadata', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-store-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [store, other] = [new FileImageStore(folder), new FileImageStore(folder)];
  // So large that another image is written between the look at one and at its metadata.
  const large = (run: number): ImageObject => {
    const png = new Uint8Array(4_000_000);
    png.set(imageOf(run).png);
    return { ...imageOf(run), png };
  };
  await store.put(large(0), always);
  let isOver = false;
  const writing = (async () => {
    for (let run = 1; run <= 15; run++) await other.put(large(run), always);
    isOver = true;
  })();
  const seen = new Set<string>();
  while (!isOver) {
    const read = await store.read(NAME, { maxBytes: 4_000_000, docKey: '{"_id":"a"}' });
    assert.ok(read !== undefined);
    assert.equal(text(read.bytes.subarray(0, 20)).split('\0')[0], `image of ${read.metadata?.runId}`);
    seen.add(read.generation);
  }
  await writing;
  assert.ok(seen.size > 1, `${seen.size} images were seen`);
});

test('a bucket’s object is read part by part, each when it is asked for, and a range asks for its bytes alone', async (t) => {
  const { server, store } = await bucket(t);
  const png = randomBytes(2_500_000);
  await store.put({ ...imageOf(1), png }, always);
  const ranges = (): readonly (string | undefined)[] =>
    server.requests.filter(({ kind }) => kind === 'download').map(({ range }) => range);
  const opened = (await store.open(NAME, { maxBytes: 3_000_000 })) ?? assert.fail();
  const pieces = opened.pieces();
  assert.deepEqual(ranges(), [], 'nothing is read before it is asked for');
  assert.equal((await pieces.next()).value?.length, 1_048_576);
  assert.deepEqual(ranges(), ['bytes=0-1048575']);
  await pieces.return();
  const part = Buffer.concat(await allOf(opened.pieces({ start: 5, end: 9 })));
  assert.ok(part.equals(png.subarray(5, 10)));
  assert.deepEqual(ranges(), ['bytes=0-1048575', 'bytes=5-9']);
});

test('a part that was damaged or cut off on its way is asked for again, and a whole image never ends with wrong bytes', async (t) => {
  const { server, store } = await bucket(t);
  const [small, large] = [randomBytes(1000), randomBytes(2_500_000)];
  await store.put({ ...imageOf(1), png: small }, always);
  let damaged = 0;
  server.fault = ({ kind }) => (kind === 'download' && damaged++ === 0 ? { kind: 'corrupt' } : undefined);
  const one = (await store.open(NAME, { maxBytes: 3_000_000 })) ?? assert.fail();
  assert.ok(Buffer.concat(await allOf(one.pieces())).equals(small));
  assert.equal(damaged, 2);
  server.fault = () => undefined;
  await store.put({ ...imageOf(2), png: large }, always);
  const many = (await store.open(NAME, { maxBytes: 3_000_000 })) ?? assert.fail();
  // What something else than the bucket answers is too short.
  let wrong = 0;
  server.fault = ({ kind }) =>
    kind === 'download' && wrong++ < 2 ? { kind: 'answer', status: 200, body: 'x' } : undefined;
  assert.ok(Buffer.concat(await allOf(many.pieces())).equals(large));
  server.fault = ({ kind, range }) =>
    kind === 'download' && range?.startsWith('bytes=0-') ? { kind: 'corrupt' } : undefined;
  let got = 0;
  await assert.rejects(
    async () => {
      for await (const piece of many.pieces()) got += piece.length;
    },
    (error) => error instanceof Text2ImgError && error.code === 'store_failed',
  );
  assert.ok(got < large.length, 'the last part is not given out');
});

test('an object that is deleted while it is read is trouble of the store, not the end of the image', async (t) => {
  const { server, store } = await bucket(t);
  await store.put({ ...imageOf(1), png: randomBytes(2_500_000) }, always);
  const opened = (await store.open(NAME, { maxBytes: 3_000_000 })) ?? assert.fail();
  const pieces = opened.pieces();
  await pieces.next();
  server.history.delete(NAME);
  await assert.rejects(pieces.next(), (error) => error instanceof Text2ImgError && error.code === 'store_failed');
});
