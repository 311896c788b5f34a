/** The front over a real queue with a worker: repeats, retries that take over, clients that leave, limits, keys that see their own only. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { AnswerOutcome, ApiKey, Caller } from '../../src/http/front/caller.ts';
import type { JobEvent, NewPrompt } from '../../src/http/front/front.ts';
import { serve, type Served } from './served.ts';

const SMALL = { width: 8, height: 8, num_inference_steps: 2 };
let requests = 0;

function caller(changes: Partial<Caller> = {}): Caller {
  return {
    key: undefined,
    requestId: `request-${++requests}`,
    retryCount: 0,
    gone: new AbortController().signal,
    door: 'openai',
    host: 'http://127.0.0.1',
    ...changes,
  };
}

function key(name: string, changes: Partial<ApiKey> = {}): ApiKey {
  return { name, isAdmin: false, limits: {}, ...changes };
}

function prompt(text: string): readonly NewPrompt[] {
  return [{ document: { text, ...SMALL }, model: 'instant' }];
}

const watched = (body: unknown) => ({ body, isWatched: true });

async function open(served: Served, text: string, who = caller()): Promise<string> {
  const { ids } = await served.front.create(who, prompt(text), watched({ text }));
  return ids[0] ?? '';
}

test('the same Idempotency-Key and body add one job, and another body is refused', async (t) => {
  const served = await serve(t);
  const send = (text: string, idempotencyKey = 'k', name = 'alice') =>
    served.front.create(caller({ idempotencyKey, key: key(name) }), prompt(text), watched({ text }));
  const first = await send('a');
  assert.equal(first.isRepeat, false);
  assert.deepEqual(await send('a'), { ...first, isRepeat: true });
  await assert.rejects(send('b'), { code: 'idempotency_mismatch' });
  assert.notDeepEqual((await send('a', 'k', 'bob')).ids, first.ids);
  assert.notDeepEqual((await send('a', 'other')).ids, first.ids);
  for (const bad of ['', 'x'.repeat(256), 'ö', 'a\nb'])
    await assert.rejects(send('a', bad), { code: 'invalid_request' });
  const { pending, processing, completed, error } = await served.queue.counts();
  assert.equal(pending + processing + completed + error, 3);
});

test('under an Idempotency-Key a prompt that is refused leaves no record, and a job that failed is answered with its error again', async (t) => {
  const served = await serve(t, { worker: { maxAttempts: 1 } });
  const send = (text: string, document: object = {}) =>
    served.front.create(
      caller({ idempotencyKey: 'k' }),
      [{ document: { text, ...SMALL, ...document }, model: 'instant' }],
      watched({ text }),
    );
  await assert.rejects(send('a', { width: 7 }), { code: 'invalid_parameter' });
  const ends: unknown[] = [];
  for (let time = 0; time < 2; time++) {
    const { ids } = await send('b [fail]');
    const [job] = await served.front.wait(caller(), ids);
    ends.push([job?.id, job?.status, job?.code, job?.error]);
  }
  assert.deepEqual(ends[1], ends[0]);
  assert.match(JSON.stringify(ends[0]), /"error","attempts_exhausted"/);
  assert.equal((await served.queue.counts()).error, 1);
});

test('many requests at once under one Idempotency-Key add one job and all get its image', async (t) => {
  const served = await serve(t);
  const ended = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const who = caller({ idempotencyKey: 'k' });
      const { ids } = await served.front.create(who, prompt('a'), watched({}));
      return await served.front.wait(who, ids);
    }),
  );
  assert.equal(new Set(ended.flat().map(({ id }) => id)).size, 1);
  assert.equal((await served.queue.counts()).completed, 1);
});

test('a job that was deleted after it was added is not made again by a repeat', async (t) => {
  const served = await serve(t);
  const who = caller({ idempotencyKey: 'k' });
  const { ids } = await served.front.create(who, prompt('a'), watched({}));
  await served.front.wait(who, ids);
  await served.front.remove(who, ids[0] ?? '');
  await assert.rejects(served.front.create(who, prompt('a'), watched({})), { code: 'deleted' });
  assert.equal((await served.queue.counts()).pending, 0);
  assert.equal(await served.store.find(`generated/${ids[0]}.png`), undefined);
});

test('a client that leaves and comes back as a retry gets the job that it left', async (t) => {
  const served = await serve(t);
  const left = new AbortController();
  const first = caller({ gone: left.signal });
  const { ids } = await served.front.create(first, prompt('a [slow 200]'), watched({ text: 'a' }));
  const waiting = served.front.wait(first, ids);
  left.abort();
  await assert.rejects(waiting, { code: 'client_disconnected' });
  const second = caller({ retryCount: 1 });
  const again = await served.front.create(second, prompt('a [slow 200]'), watched({ text: 'a' }));
  assert.deepEqual(again, { ids, isRepeat: true, warnings: [] });
  const [job] = await served.front.wait(second, again.ids);
  assert.equal(job?.status, 'completed');
  assert.equal((await served.queue.counts()).completed, 1);
});

test('a job whose answer was lost goes to a retry when it has completed, and one whose answer arrived does not', async (t) => {
  const served = await serve(t);
  for (const outcome of ['lost', 'taken'] as const) {
    const tellers: ((outcome: AnswerOutcome) => void)[] = [];
    const first = caller({ answered: (listener) => void tellers.push(listener) });
    const id = await open(served, outcome, first);
    assert.equal((await served.front.wait(first, [id]))[0]?.status, 'completed');
    assert.equal(tellers.length, 1);
    tellers[0]?.(outcome);
    // The entry is written in a moment.
    await sleep(200);
    const retry = caller({ retryCount: 1 });
    const again = await served.front.create(retry, prompt(outcome), watched({ text: outcome }));
    assert.deepEqual([again.isRepeat, again.ids[0] === id], [outcome === 'lost', outcome === 'lost']);
    assert.equal((await served.front.wait(retry, again.ids))[0]?.status, 'completed');
  }
});

test('a first request never takes over a job, and neither does another key, another body or a second retry', async (t) => {
  const served = await serve(t, { worker: false });
  const leave = async (): Promise<string> => {
    const left = new AbortController();
    const who = caller({ gone: left.signal, key: key('alice') });
    const { ids } = await served.front.create(who, prompt('a'), watched({ text: 'a' }));
    left.abort();
    await assert.rejects(served.front.wait(who, ids), { code: 'client_disconnected' });
    return ids[0] ?? '';
  };
  const id = await leave();
  const send = async (changes: Partial<Caller>, body: unknown = { text: 'a' }) =>
    served.front.create(caller({ key: key('alice'), ...changes }), prompt('a'), watched(body));
  const others = await Promise.all([
    send({ retryCount: 0 }),
    send({ retryCount: 1, key: key('bob') }),
    send({ retryCount: 1, door: 'a1111' }),
    send({ retryCount: 1 }, { text: 'b' }),
  ]);
  for (const other of others) assert.equal(other.isRepeat, false);
  assert.deepEqual((await send({ retryCount: 1 })).ids, [id]);
});

test('a job that a retry took over stays offered when the request before is given up, so the next retry finds it', async (t) => {
  const served = await serve(t, { worker: false, front: { cancelLostAfterMs: 300 } });
  const left = new AbortController();
  const first = caller({ gone: left.signal });
  const { ids } = await served.front.create(first, prompt('a'), watched({ text: 'a' }));
  left.abort();
  await assert.rejects(served.front.wait(first, ids), { code: 'client_disconnected' });
  const retry = async () => served.front.create(caller({ retryCount: 1 }), prompt('a'), watched({ text: 'a' }));
  assert.deepEqual((await retry()).ids, ids);
  // Longer than until the first one is given up; the process of the second one ended before it could wait.
  await sleep(1500);
  assert.deepEqual((await retry()).ids, ids);
});

test('a request whose client left before its job was added adds none', async (t) => {
  const served = await serve(t, { worker: false });
  for (const retryCount of [0, 1]) {
    const who = caller({ gone: AbortSignal.abort(), retryCount });
    await assert.rejects(served.front.create(who, prompt('a'), watched({ text: 'a' })), {
      code: 'client_disconnected',
    });
  }
  assert.equal((await served.queue.counts()).pending, 0);
});

test('a job whose client is gone for good is cancelled, and one that a retry took over is not', async (t) => {
  const served = await serve(t, { worker: false, front: { cancelLostAfterMs: 300 } });
  const leave = async (text: string, door: Caller['door'] = 'openai', idempotencyKey?: string): Promise<string> => {
    const left = new AbortController();
    const who = caller({ gone: left.signal, door, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) });
    const { ids } = await served.front.create(who, prompt(text), watched({ text }));
    left.abort();
    await assert.rejects(served.front.wait(who, ids), { code: 'client_disconnected' });
    return ids[0] ?? '';
  };
  const [gone, taken, ofJobsApi, withKey] = [
    await leave('a'),
    await leave('b'),
    await leave('c', 'jobs'),
    await leave('d', 'openai', 'k'),
  ];
  const taking = await served.front.create(caller({ retryCount: 1 }), prompt('b'), watched({ text: 'b' }));
  assert.deepEqual(taking.ids, [taken]);
  const show = async (id: string) => (await served.queue.show(id))?.error ?? (await served.queue.show(id))?.status;
  while ((await show(gone)) === 'pending') await sleep(20);
  await sleep(300);
  assert.match((await show(gone)) ?? '', /^cancelled: the client closed the connection/);
  assert.deepEqual([await show(taken), await show(ofJobsApi), await show(withKey)], ['pending', 'pending', 'pending']);
});

test('a request that waits too long says so, and its job goes on to a retry', async (t) => {
  const served = await serve(t);
  const who = caller();
  const id = await open(served, 'a [slow 300]', who);
  await assert.rejects(served.front.wait(who, [id], { timeoutMs: 50 }), { code: 'wait_timeout' });
  const retry = caller({ retryCount: 1 });
  const again = await served.front.create(retry, prompt('a [slow 300]'), watched({ text: 'a [slow 300]' }));
  assert.deepEqual(again.ids, [id]);
  assert.equal((await served.front.wait(retry, again.ids))[0]?.status, 'completed');
});

test('a request for a model that no worker has ends with no_worker and its job is cancelled; a worker that still loads is waited for', async (t) => {
  const served = await serve(t, { worker: false, front: { noWorkerTimeoutMs: 0, hasWorker: () => false } });
  const who = caller();
  const id = await open(served, 'a', who);
  await assert.rejects(served.front.wait(who, [id]), { code: 'no_worker' });
  while ((await served.queue.show(id))?.status === 'pending') await sleep(20);
  assert.match((await served.queue.show(id))?.error ?? '', /^cancelled/);

  const loading = await serve(t, { worker: false, front: { noWorkerTimeoutMs: 0, hasWorker: () => true } });
  const other = caller();
  const waited = await open(loading, 'b', other);
  // Longer than a look at the workers takes.
  await assert.rejects(loading.front.wait(other, [waited], { timeoutMs: 5000 }), { code: 'wait_timeout' });
  assert.equal((await loading.queue.show(waited))?.status, 'pending');
});

test('status, progress and the end of a job arrive in order, each once', async (t) => {
  const served = await serve(t);
  const events: JobEvent[] = [];
  const who = caller();
  const id = await open(served, 'a [slow 400]', who);
  await served.front.wait(who, [id], { onEvent: (event) => events.push(event) });
  const kinds = events.map((event) => (event.type === 'status' ? event.status : event.type));
  assert.equal(kinds.at(-1), 'completed');
  assert.ok(kinds.includes('processing') && kinds.includes('progress'), kinds.join());
  const steps = events.flatMap((event) => (event.type === 'progress' ? [event.step] : []));
  assert.deepEqual(
    steps,
    [...new Set(steps)].toSorted((a, b) => a - b),
  );
});

test('a key has so many open jobs and no more; the queue has so many pending jobs of all', async (t) => {
  const served = await serve(t, { worker: false, limits: { maxQueueLength: 4, maxOpenPerKey: 3 } });
  const alice = key('alice', { limits: { maxOpen: 2, maxImages: 2, maxPixels: 64 } });
  const create = (who: ApiKey, documents: object, count = 1) =>
    served.front.create(
      caller({ key: who, door: 'jobs' }),
      Array.from({ length: count }, () => ({ document: { text: 'a', ...SMALL, ...documents }, model: 'instant' })),
      { body: {}, isWatched: false },
    );
  await create(alice, {}, 2);
  await assert.rejects(create(alice, {}), { code: 'rate_limit_exceeded' });
  await assert.rejects(create(alice, { num_images: 3 }), { code: 'invalid_parameter' });
  await assert.rejects(create(alice, { num_images: 1 }, 3), { code: 'invalid_parameter' });
  await assert.rejects(create(alice, { width: 16 }), { code: 'invalid_parameter' });
  await assert.rejects(create(key('bob'), {}, 4), { code: 'rate_limit_exceeded' });
  await create(key('bob'), {}, 2);
  await assert.rejects(create(key('carol'), {}), { code: 'too_many_pending' });
  assert.equal((await served.queue.counts()).pending, 4);
});

test('so many requests wait and no more; the one that is refused adds nothing', async (t) => {
  const served = await serve(t, { worker: false, limits: { maxWaiting: 1 } });
  const left = new AbortController();
  const who = caller({ gone: left.signal });
  const id = await open(served, 'a', who);
  const waiting = served.front.wait(who, [id]);
  await assert.rejects(open(served, 'b'), { code: 'too_many_waiting' });
  await assert.rejects(open(served, 'c', caller({ idempotencyKey: 'k' })), { code: 'too_many_waiting' });
  assert.equal((await served.queue.counts()).pending, 1);
  left.abort();
  await assert.rejects(waiting, { code: 'client_disconnected' });
});

test('a key sees its own jobs; those of others are not there; an admin’s key sees all', async (t) => {
  const served = await serve(t, { worker: false });
  const [alice, bob, admin] = [key('alice'), key('bob'), key('root', { isAdmin: true })].map((one) =>
    caller({ key: one }),
  );
  assert.ok(alice !== undefined && bob !== undefined && admin !== undefined);
  const id = await open(served, 'a', alice);
  const [ofNobody = ''] = (await served.queue.enqueue([{ text: 'x', _id: 'x' }])).map(() => 'x');
  const { front } = served;
  for (const who of [bob]) {
    await assert.rejects(front.show(who, id), { code: 'not_found' });
    await assert.rejects(front.cancel(who, id), { code: 'not_found' });
    await assert.rejects(front.retry(who, id), { code: 'not_found' });
    await assert.rejects(front.remove(who, id), { code: 'not_found' });
    await assert.rejects(front.images(who, id), { code: 'not_found' });
    await assert.rejects(front.preview(who, id), { code: 'not_found' });
    await assert.rejects(front.wait(who, [id]), { code: 'not_found' });
    assert.deepEqual(await front.list(who, { limit: 10 }), { jobs: [], next: undefined });
  }
  await assert.rejects(front.show(alice, ofNobody), { code: 'not_found' });
  const listed = async (who: Caller) => (await front.list(who, { limit: 10 })).jobs.map((job) => job.id).toSorted();
  assert.deepEqual(await listed(alice), [id]);
  assert.deepEqual(await listed(admin), [id, 'x'].toSorted());
  assert.equal(await front.cancel(admin, id), true);
  assert.equal((await front.show(alice, id)).status, 'error');
});

test('fields that are the service’s own are refused, and nothing is added', async (t) => {
  const served = await serve(t, { worker: false });
  for (const field of ['_id', 'job', 'status']) {
    const document = { text: 'a', [field]: 'pending' };
    const adding = served.front.create(caller(), [{ document, model: 'instant' }], watched({}));
    await assert.rejects(adding, { code: 'invalid_document' }, field);
  }
  assert.equal((await served.queue.counts()).pending, 0);
});

test('a job ends at its time, and one of a server that ends goes on to a retry', async (t) => {
  const served = await serve(t, { worker: false });
  const who = caller();
  const { ids } = await served.front.create(who, prompt('a'), { ...watched({ a: 1 }), cancelAfterMs: 50 });
  const [job] = await served.front.wait(who, ids);
  assert.equal(job?.code, 'cancelled');
  const other = caller();
  const id = await open(served, 'b', other);
  const waiting = served.front.wait(other, [id]);
  served.lifecycle.end();
  await assert.rejects(waiting, { code: 'shutting_down' });
  assert.equal((await served.queue.show(id))?.status, 'pending');
});
