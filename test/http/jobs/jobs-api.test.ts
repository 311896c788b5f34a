/** The jobs API as a client sees it, over a real queue, store and worker: create, show, list, cancel, retry, delete. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serve } from '../served.ts';
import { assertProblem, call, create, createAndWait, pathOf } from './client.ts';

const PROMPTS = '/api/v1/prompts';

test('a prompt is taken at once, and shown with its images when it is done', async (t) => {
  const served = await serve(t);
  const taken = await create(served, { text: 'a red circle', seed: 7, num_images: 2, my_field: { a: 1 } });
  assert.equal(taken.status, 202, taken.text);
  const { id } = taken.body;
  assert.equal(taken.headers.get('location'), `${served.url}${pathOf(id)}`);
  assert.equal(taken.body['text'], 'a red circle');
  const caller = { key: undefined, requestId: 'test', retryCount: 0, gone: new AbortController().signal } as const;
  await served.front.wait({ ...caller, door: 'jobs', host: served.url }, [String(id)]);
  const done = await call(served, pathOf(id));
  assert.equal(done.status, 200, done.text);
  assert.equal(done.body['status'], 'completed', done.text);
  const images = done.body['images'] as readonly Record<string, unknown>[];
  assert.deepEqual(
    images.map(({ index, seed }) => [index, seed]),
    [
      [0, 7],
      [1, 8],
    ],
  );
  const image = await call(served, String(images[1]?.['url']));
  assert.deepEqual([image.status, image.headers.get('content-type')], [200, 'image/png']);
});

test('a list of prompts is added whole, and answered in its order', async (t) => {
  const served = await serve(t);
  const taken = await create(served, [{ text: 'one' }, { text: 'two' }], { headers: { prefer: 'wait=60' } });
  assert.equal(taken.status, 200, taken.text);
  assert.equal(taken.headers.get('preference-applied'), 'wait=60');
  const prompts = taken.body['prompts'] as readonly Record<string, unknown>[];
  assert.deepEqual(
    prompts.map(({ text, status }) => [text, status]),
    [
      ['one', 'completed'],
      ['two', 'completed'],
    ],
  );
});

test('of a list with one bad prompt nothing is added', async (t) => {
  const served = await serve(t, { worker: false });
  const refused = await create(served, [{ text: 'one' }, { text: 'two', width: 7 }]);
  assertProblem(refused, { code: 'invalid_parameter', status: 400 }, '"width" is 7');
  assert.equal((await served.queue.counts()).pending, 0);
});

test('a wait that ends before the job answers 202 with the job as it is', async (t) => {
  const served = await serve(t, { worker: false });
  const taken = await create(served, { text: 'later' }, { headers: { prefer: 'wait=1' } });
  assert.deepEqual([taken.status, taken.body['status']], [202, 'pending'], taken.text);
  assert.equal(taken.headers.get('preference-applied'), 'wait=1');
});

test('bad requests are problems with a stable code, and add nothing', async (t) => {
  const served = await serve(t, { worker: false, limits: { maxPrompts: 2 } });
  const bad = { code: 'invalid_document', status: 400 };
  for (const name of ['_id', 'job', 'status'])
    assertProblem(await create(served, { text: 'a', [name]: 'pending' }), bad, `"${name}"`);
  assertProblem(await create(served, 'just a text'), bad, 'JSON object');
  assertProblem(await create(served, [{ text: 'a' }, { text: 'a' }, { text: 'a' }]), bad, '3 prompts');
  assertProblem(await create(served, {}), { code: 'invalid_prompt', status: 400 });
  assertProblem(await create(served, { prompt: 'a' }), { code: 'invalid_prompt', status: 400 }, '"text"');
  assertProblem(await create(served, { text: 'a', model: 'none' }), { code: 'model_not_found', status: 404 });
  const after = { headers: { 'cancel-after': 'soon' } };
  assertProblem(await create(served, { text: 'a' }, after), { code: 'invalid_parameter', status: 400 }, '"soon"');
  const type = { method: 'POST', headers: { 'content-type': 'text/plain' }, json: { text: 'a' } };
  assertProblem(await call(served, PROMPTS, type), { code: 'unsupported_media_type', status: 415 });
  const broken = await fetch(new URL(PROMPTS, served.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"text": "a secret prompt',
  });
  const text = await broken.text();
  assert.deepEqual([broken.status, text.includes('invalid_body'), text.includes('secret')], [400, true, false], text);
  assert.equal((await served.queue.counts()).pending, 0);
});

test('HEAD adds nothing and has no body, and other methods are answered with those that there are', async (t) => {
  const served = await serve(t, { worker: false });
  const { body } = await create(served, { text: 'a' });
  for (const path of [PROMPTS, pathOf(body['id']), pathOf(body['id'], '/events')]) {
    const head = await call(served, path, { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, ''], path);
  }
  assert.equal((await served.queue.counts()).pending, 1);
  const put = await call(served, PROMPTS, { method: 'PUT', json: {} });
  assertProblem(put, { code: 'method_not_allowed', status: 405 });
  assert.match(put.headers.get('allow') ?? '', /GET.*POST/);
  for (const method of ['QUERY', 'PROPFIND', 'PURGE'])
    assertProblem(await call(served, PROMPTS, { method }), { code: 'method_not_allowed', status: 405 }, method);
  const cancel = await call(served, pathOf(body['id'], '/cancel'));
  assertProblem(cancel, { code: 'method_not_allowed', status: 405 });
});

test('a list goes page by page to its end, each prompt once, and is filtered by status', async (t) => {
  const served = await serve(t, { worker: false });
  const texts = Array.from({ length: 7 }, (_, index) => `prompt ${index}`);
  await create(
    served,
    texts.map((text) => ({ text })),
  );
  const read: string[] = [];
  let path: string | undefined = `${PROMPTS}?limit=3&status=pending`;
  while (path !== undefined) {
    const page = await call(served, path);
    assert.equal(page.status, 200, page.text);
    read.push(...(page.body['prompts'] as readonly Record<string, unknown>[]).map(({ text }) => String(text)));
    path = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    assert.equal(path === undefined, page.body['next_cursor'] === null);
  }
  assert.deepEqual(read.toSorted(), texts);
  const others = await call(served, `${PROMPTS}?status=completed`);
  assert.deepEqual(others.body, { prompts: [], next_cursor: null });
});

test('a query that is not allowed is refused with what is', async (t) => {
  const served = await serve(t, { worker: false });
  const bad = { code: 'invalid_parameter', status: 400 };
  for (const query of [
    'limit=0',
    'limit=101',
    'limit=x',
    'limit=1&limit=2',
    'status=done',
    'status=',
    'model=',
    'cursor=',
    `model=${'x'.repeat(201)}`,
  ])
    assertProblem(await call(served, `${PROMPTS}?${query}`), bad, 'allowed');
  assertProblem(await call(served, `${PROMPTS}?cursor=x`), { code: 'invalid_cursor', status: 400 });
  assert.equal((await call(served, `${PROMPTS}?unknown=1`)).status, 200);
});

test('a pending prompt is cancelled once, retried, and deleted', async (t) => {
  const served = await serve(t, { worker: false });
  const { body } = await create(served, { text: 'a' });
  const { id } = body;
  assertProblem(await call(served, pathOf(id, '/retry'), { method: 'POST' }), { code: 'wrong_job_state', status: 409 });
  const cancelled = await call(served, pathOf(id, '/cancel'), { method: 'POST' });
  assert.deepEqual([cancelled.status, cancelled.body['status']], [200, 'error'], cancelled.text);
  assert.equal((cancelled.body['error'] as Record<string, unknown>)['code'], 'cancelled');
  const again = await call(served, pathOf(id, '/cancel'), { method: 'POST' });
  assertProblem(again, { code: 'wrong_job_state', status: 409 }, 'has ended');
  const retried = await call(served, pathOf(id, '/retry'), { method: 'POST' });
  assert.deepEqual([retried.status, retried.body['status']], [202, 'pending'], retried.text);
  assert.equal((await call(served, pathOf(id), { method: 'DELETE' })).status, 204);
  for (const [method, rest] of [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/cancel'],
    ['POST', '/retry'],
    ['GET', '/events'],
    ['GET', '/images/0.png'],
  ] as const)
    assertProblem(await call(served, pathOf(id, rest), { method }), { code: 'not_found', status: 404 });
});

test('deleting a completed prompt deletes its images, and no others', async (t) => {
  const served = await serve(t);
  const gone = await createAndWait(served, { text: 'a', num_images: 3 });
  const kept = await createAndWait(served, { text: 'b' });
  const deleted = await call(served, pathOf(gone['id']), { method: 'DELETE' });
  assert.equal(deleted.status, 204, deleted.text);
  const files = (await readdir(join(served.folder, 'generated'))).filter((name) => name.endsWith('.png'));
  assert.deepEqual(files, [`${String(kept['id'])}.png`]);
  assert.equal((await call(served, pathOf(kept['id']))).status, 200);
});

test('a prompt whose images may not be deleted stays', async (t) => {
  const served = await serve(t);
  const prompt = await createAndWait(served, { text: 'a' });
  t.mock.method(served.store, 'remove', async () => {
    const { Text2ImgError } = await import('../../../src/errors/text2img-error.ts');
    throw new Text2ImgError('store_refused', 'the bucket does not let these credentials delete it.');
  });
  const refused = await call(served, pathOf(prompt['id']), { method: 'DELETE' });
  assertProblem(refused, { code: 'store_refused', status: 403 });
  assert.equal((await call(served, pathOf(prompt['id']))).body['status'], 'completed');
});
