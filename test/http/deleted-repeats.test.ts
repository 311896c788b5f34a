/** Repeats under an `Idempotency-Key` whose jobs were deleted: the jobs were made once, and are not made again. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { call as callA1111 } from './a1111/calls.ts';
import { assertProblem, call, create, createAndWait, pathOf } from './jobs/client.ts';
import { serve, type Served } from './served.ts';

const SMALL = { width: 8, height: 8 };
const headers = { 'idempotency-key': 'order-1' };

async function deleteJobs(served: Served, ids: readonly unknown[]): Promise<void> {
  for (const id of ids) assert.equal((await call(served, pathOf(id), { method: 'DELETE' })).status, 204);
}

async function jobCount({ queue }: Served): Promise<number> {
  return (await queue.list({ limit: 100 })).length;
}

test('jobs API: the repeat of a prompt that was deleted is 410 deleted, with and without a wait', async (t) => {
  const served = await serve(t);
  const { body } = await create(served, { text: 'a' }, { headers: { ...headers, prefer: 'wait=60' } });
  await deleteJobs(served, [body['id']]);
  for (const prefer of ['', 'wait=60']) {
    const again = await create(served, { text: 'a' }, { headers: { ...headers, prefer } });
    assertProblem(again, { code: 'deleted', status: 410 }, String(body['id']));
  }
  assert.equal(await jobCount(served), 0);
});

test('jobs API: of a list the repeat is 410 where one prompt is gone, and says how many are', async (t) => {
  const served = await serve(t);
  const list = [{ text: 'a' }, { text: 'b' }, { text: 'c' }];
  const { body } = await create(served, list, { headers: { ...headers, prefer: 'wait=60' } });
  const ids = (body['prompts'] as readonly Record<string, unknown>[]).map(({ id }) => id);
  await deleteJobs(served, ids.slice(1, 2));
  assertProblem(await create(served, list, { headers }), { code: 'deleted', status: 410 }, String(ids[1]));
  await deleteJobs(served, ids.slice(2));
  assertProblem(await create(served, list, { headers }), { code: 'deleted', status: 410 }, '2 jobs', String(ids[1]));
  assert.equal(await jobCount(served), 1);
});

test('jobs API: the maker of a prompt that is deleted meanwhile learns that it was cancelled or deleted, never that it is unknown', async (t) => {
  const served = await serve(t, { worker: false });
  const waiting = create(served, { text: 'a' }, { headers: { prefer: 'wait=60' } });
  let id: string | undefined;
  while (id === undefined) {
    await sleep(10);
    id = (await served.queue.list({ limit: 1 }))[0]?.id;
  }
  await deleteJobs(served, [id]);
  // A deletion cancels first, and the wait may end there.
  const answer = await waiting;
  if (answer.status === 200) assert.equal(answer.body['status'], 'error');
  else assertProblem(answer, { code: 'deleted', status: 410 });
});

test('another key, and no key, make the prompt anew', async (t) => {
  const served = await serve(t);
  const { body } = await create(served, { text: 'a' }, { headers: { ...headers, prefer: 'wait=60' } });
  await deleteJobs(served, [body['id']]);
  await createAndWait(served, { text: 'a' });
  assert.equal((await create(served, { text: 'a' }, { headers: { 'idempotency-key': 'order-2' } })).status, 202);
});

for (const [name, path, body, codeIn] of [
  [
    'OpenAI’s API',
    '/v1/images/generations',
    { prompt: 'a', ...SMALL },
    (json: Json): unknown => (json['error'] as Json)['code'],
  ],
  [
    'a stream of OpenAI’s API',
    '/v1/images/generations',
    { prompt: 'a', ...SMALL, stream: true },
    (json: Json): unknown => (json['error'] as Json)['code'],
  ],
  ['the web UI’s API', '/sdapi/v1/txt2img', { prompt: 'a', ...SMALL }, undefined],
  ['the web UI’s API with two passes', '/sdapi/v1/txt2img', { prompt: 'a', ...SMALL, n_iter: 2 }, undefined],
  ['Ollama’s API', '/api/generate', { prompt: 'a', ...SMALL, stream: false }, undefined],
  ['a stream of Ollama’s API', '/api/generate', { prompt: 'a', ...SMALL }, undefined],
] as const)
  test(`${name}: the repeat of a job that was deleted is 410, in its own shape and before a stream begins`, async (t) => {
    const served = await serve(t);
    const post = () => callA1111(served, path, { method: 'POST', headers, body });
    const first = await post();
    assert.equal(first.status, 200, first.text);
    const ids = first.headers.get('text2img-id')?.split(', ') ?? [];
    await deleteJobs(served, ids.slice(0, 1));
    const again = await post();
    assert.deepEqual([again.status, again.headers.get('x-should-retry')], [410, 'false'], again.text);
    assert.match(again.text, new RegExp(`${ids[0]}.* deleted`));
    if (codeIn !== undefined) assert.equal(codeIn(again.json), 'deleted');
    assert.equal(await jobCount(served), ids.length - 1);
  });

type Json = Readonly<Record<string, unknown>>;
