/** Whose prompts a request makes and sees, and requests that are sent twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../served.ts';
import { assertProblem, call, create, pathOf } from './client.ts';

const PROMPTS = '/api/v1/prompts';

test('the same Idempotency-Key adds a prompt once, and another body is refused', async (t) => {
  const served = await serve(t);
  const headers = { 'idempotency-key': 'order-1' };
  const first = await create(served, { text: 'a' }, { headers });
  const second = await create(served, { text: 'a' }, { headers });
  assert.equal(second.body['id'], first.body['id'], second.text);
  assertProblem(await create(served, { text: 'b' }, { headers }), { code: 'idempotency_mismatch', status: 422 });
  const { pending, processing, completed } = await served.queue.counts();
  assert.equal(pending + processing + completed, 1);
});

test('what has not ended by Cancel-After is cancelled', async (t) => {
  const served = await serve(t, { worker: false });
  const { body } = await create(served, { text: 'a' }, { headers: { 'cancel-after': '5s', prefer: 'wait=60' } });
  assert.equal((body['error'] as Record<string, unknown> | undefined)?.['code'], 'cancelled', JSON.stringify(body));
});

test('a key sees its own prompts only, an admin’s sees all, and no key sees none', async (t) => {
  const served = await serve(t, { keys: ['ann', 'bob', 'admin-eve'], worker: false });
  const [ann, bob, eve] = ['ann', 'bob', 'admin-eve'].map((name) => served.secretOf(name));
  assert.ok(ann !== undefined && bob !== undefined && eve !== undefined);
  const { body } = await create(served, { text: 'a' }, { key: ann });
  const { id } = body;
  assert.equal((await call(served, pathOf(id), { key: ann })).status, 200);
  assert.equal((await call(served, pathOf(id), { key: eve })).status, 200);
  for (const [method, rest] of [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/cancel'],
    ['GET', '/events'],
  ] as const)
    assertProblem(await call(served, pathOf(id, rest), { method, key: bob }), { code: 'not_found', status: 404 });
  for (const key of [undefined, '', 'wrong'])
    assertProblem(await call(served, pathOf(id), key === undefined ? {} : { key }), {
      code: 'unauthorized',
      status: 401,
    });
  const lists = await Promise.all(
    [ann, bob, eve].map(async (key) => (await call(served, PROMPTS, { key })).body['prompts'] as readonly unknown[]),
  );
  assert.deepEqual(
    lists.map((prompts) => prompts.length),
    [1, 0, 1],
  );
});

test('the models are listed with their aliases, and a prompt says which one it goes to', async (t) => {
  const models = [
    { id: 'instant', aliases: ['fast'] },
    { id: 'other', aliases: [] },
  ];
  const served = await serve(t, { models, worker: false });
  const { body } = await call(served, '/api/v1/models');
  assert.deepEqual(body, {
    models: [
      { id: 'instant', aliases: ['fast'], is_default: true },
      { id: 'other', aliases: [], is_default: false },
    ],
  });
  const named = await create(served, { text: 'a', model: 'other' });
  assert.equal(named.body['model'], 'other', named.text);
  assert.equal((await create(served, { text: 'a', model: 'fast' })).body['model'], 'instant');
  assert.equal((await create(served, { text: 'a' })).body['model'], 'instant');
});
