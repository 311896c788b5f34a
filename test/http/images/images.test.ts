/** Images over HTTP: ranges, tags, caches, and links that need no key. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { UrlSigner } from '../../../src/http/images/sign-url.ts';
import { assertProblem, call, createAndWait, pathOf } from '../jobs/client.ts';
import { serve } from '../served.ts';

interface ImageView {
  readonly url: string;
  readonly signed_url?: string;
}

function firstImage(prompt: Record<string, unknown>): ImageView {
  return (prompt['images'] as readonly ImageView[])[0] ?? assert.fail(JSON.stringify(prompt));
}

async function bytesOf(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(url, { headers })).arrayBuffer());
}

test('an image is the store’s, byte for byte, and its parts are its parts', async (t) => {
  const served = await serve(t);
  const prompt = await createAndWait(served, { text: 'a' });
  const { url } = firstImage(prompt);
  const stored = await served.store.read(`generated/${String(prompt['id'])}.png`, { maxBytes: 1e6 });
  const whole = await bytesOf(url);
  assert.deepEqual(Buffer.from(whole), Buffer.from(stored?.bytes ?? []));
  const part = await fetch(url, { headers: { range: 'bytes=5-9' } });
  assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 5-9/${whole.length}`]);
  assert.deepEqual(new Uint8Array(await part.arrayBuffer()), whole.slice(5, 10));
  const behind = await call(served, url, { headers: { range: `bytes=${whole.length}-` } });
  assertProblem(behind, { code: 'invalid_request', status: 416 }, `${whole.length} bytes`);
  assert.equal(behind.headers.get('content-range'), `bytes */${whole.length}`);
});

test('a copy that is still good is not sent again', async (t) => {
  const served = await serve(t);
  const { url } = firstImage(await createAndWait(served, { text: 'a' }));
  const head = await call(served, url, { method: 'HEAD' });
  const etag = head.headers.get('etag') ?? assert.fail();
  assert.deepEqual(
    [head.status, head.headers.get('content-length'), head.text],
    [200, String((await bytesOf(url)).length), ''],
  );
  const known = await call(served, url, { headers: { 'if-none-match': etag } });
  assert.deepEqual([known.status, known.headers.get('etag'), known.text], [304, etag, '']);
  const changed = await call(served, url, { headers: { range: 'bytes=0-1', 'if-range': '"another"' } });
  assert.equal(changed.status, 200);
});

test('an image that there is not is not found, and one that was removed is gone', async (t) => {
  const served = await serve(t);
  const prompt = await createAndWait(served, { text: 'a' });
  for (const file of ['1.png', '00.png', '0.jpg', 'x', '..%2F..%2Fqueue.sqlite'])
    assertProblem(await call(served, pathOf(prompt['id'], `/images/${file}`)), { code: 'not_found', status: 404 });
  await rm(join(served.folder, 'generated', `${String(prompt['id'])}.png`));
  assertProblem(await call(served, firstImage(prompt).url), { code: 'deleted', status: 410 });
});

test('a signed link needs no key, and is good for its image alone', async (t) => {
  const signer = new UrlSigner({ secrets: ['a secret of the test'] });
  const served = await serve(t, { keys: ['ann'], server: { signer } });
  const key = served.secretOf('ann');
  const prompt = await createAndWait(served, { text: 'a', num_images: 2 }, { key });
  const { url, signed_url: link = assert.fail('no link') } = firstImage(prompt);
  assertProblem(await call(served, url), { code: 'unauthorized', status: 401 });
  const image = await call(served, link);
  assert.deepEqual([image.status, image.headers.get('content-type')], [200, 'image/png']);
  assert.match(image.headers.get('cache-control') ?? '', /^private, max-age=(3600|35\d\d)$/);
  assert.deepEqual(await bytesOf(link), await bytesOf(url, { authorization: `Bearer ${key}` }));
  for (const bad of [link.replace('/0.png', '/1.png'), `${link}x`, link.split('&')[0] ?? '', link.split('?')[0] ?? ''])
    assertProblem(await call(served, bad), { code: 'invalid_link', status: 403 });
});

test('a link ends after an hour, and then says so', async (t) => {
  let nowMs = Date.now();
  const signer = new UrlSigner({ secrets: ['a secret of the test'], now: () => nowMs });
  const served = await serve(t, { server: { signer } });
  const { signed_url: link = assert.fail('no link') } = firstImage(await createAndWait(served, { text: 'a' }));
  nowMs += 3_601_000;
  assertProblem(await call(served, link), { code: 'invalid_link', status: 403 }, 'expired');
});

test('a server without a secret makes no links', async (t) => {
  const served = await serve(t, { server: { signer: undefined } });
  const prompt = await createAndWait(served, { text: 'a' });
  assert.equal(firstImage(prompt).signed_url, undefined);
  const guess = `/images/${String(prompt['id'])}/0.png?exp=9999999999&sig=x`;
  assertProblem(await call(served, guess), { code: 'invalid_link', status: 403 });
});
