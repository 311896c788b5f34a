/** An image by the id of its answer, as clients of SGLang read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../served.ts';

test('each image of an answer is there under the answer’s id, for the key that asked for it', async (t) => {
  const served = await serve(t, { keys: ['alice', 'bob'] });
  const as = (name: string) => ({ authorization: `Bearer ${served.secretOf(name)}` });
  const body = JSON.stringify({ prompt: 'a fox', size: '8x8', n: 2 });
  const made = await fetch(`${served.url}/v1/images/generations`, { method: 'POST', headers: as('alice'), body });
  const { id, data } = (await made.json()) as { readonly id: string; readonly data: readonly { b64_json: string }[] };
  const get = (
    query: string,
    name = 'alice',
    init: { method?: string; headers?: Readonly<Record<string, string>> } = {},
  ) => fetch(`${served.url}/v1/images/${id}/content${query}`, { ...init, headers: { ...as(name), ...init.headers } });
  for (const [query, index] of [
    ['', 0],
    ['?variant=', 0],
    ['?variant=0', 0],
    ['?variant=1', 1],
  ] as const) {
    const image = await get(query);
    assert.deepEqual([image.status, image.headers.get('content-type')], [200, 'image/png'], query);
    assert.equal(Buffer.from(await image.arrayBuffer()).toString('base64'), data[index]?.b64_json, query);
  }
  const head = await get('', 'alice', { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  for (const [answer, status, code] of [
    [await get('?variant=2'), 404, 'not_found'],
    [await get('?variant=-1'), 404, 'not_found'],
    [await get('?variant=x'), 404, 'not_found'],
    [await get('', 'bob'), 404, 'not_found'],
    [await fetch(`${served.url}/v1/images/${id}/content`), 401, 'unauthorized'],
    [await get('', 'alice', { headers: { range: 'bytes=9999999-' } }), 416, 'invalid_request'],
  ] as const) {
    const { error } = (await answer.json()) as { readonly error: { readonly code: string } };
    assert.deepEqual([answer.status, error.code], [status, code], answer.url);
  }
});
