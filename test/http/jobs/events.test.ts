/** The events of a job over a real connection: in order, to the end, and again after a lost connection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../served.ts';
import { assertProblem, call, create, createAndWait, eventsIn, pathOf, readEvents } from './client.ts';

const SLOW = { text: 'a circle [slow 300]', num_inference_steps: 5 };

test('a job is told from its place in the queue to its images, in order', async (t) => {
  const served = await serve(t);
  const { body } = await create(served, SLOW);
  const events = await readEvents(served, pathOf(body['id'], '/events'));
  const kinds = events.map(({ event }) => event);
  assert.equal(kinds.at(-1), 'completed', kinds.join());
  assert.ok(kinds.includes('status') && kinds.includes('progress'), kinds.join());
  const steps = events.flatMap(({ event, data }) => (event === 'progress' ? [Number(data['step'])] : []));
  assert.deepEqual(
    steps,
    steps.toSorted((a, b) => a - b),
  );
  const done = await call(served, pathOf(body['id']));
  assert.deepEqual(events.at(-1)?.data, done.body);
});

test('a job that has ended is told at once, and not again to a client that knows it', async (t) => {
  const served = await serve(t);
  const { id } = await createAndWait(served, { text: 'a' });
  const [end, ...more] = await readEvents(served, pathOf(id, '/events'));
  assert.deepEqual([end?.event, more], ['completed', []]);
  const known = { headers: { 'last-event-id': end?.id ?? '' } };
  assert.equal((await call(served, pathOf(id, '/events'), known)).status, 204);
});

test('a client that lost its connection goes on where it was', async (t) => {
  const served = await serve(t);
  const { body } = await create(served, SLOW);
  const path = pathOf(body['id'], '/events');
  const lost = new AbortController();
  const answer = await fetch(new URL(path, served.url), { signal: lost.signal });
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of answer.body ?? assert.fail()) {
    text += decoder.decode(piece, { stream: true });
    if (text.includes('event: progress')) break;
  }
  lost.abort();
  const seen = eventsIn(text.slice(0, text.lastIndexOf('\n\n') + 2));
  const lastId = seen.findLast(({ id }) => id !== undefined)?.id ?? assert.fail(text);
  const rest = await readEvents(served, path, { 'last-event-id': lastId });
  assert.ok(
    rest.every(({ id }) => id === undefined || !seen.some((one) => one.id === id)),
    JSON.stringify({ seen, rest }),
  );
  assert.equal(rest.at(-1)?.event, 'completed');
});

test('a job that fails or is cancelled ends with an error and its code', async (t) => {
  const served = await serve(t, { worker: false });
  const { body } = await create(served, { text: 'a' });
  const reading = readEvents(served, pathOf(body['id'], '/events'));
  await call(served, pathOf(body['id'], '/cancel'), { method: 'POST' });
  const end = (await reading).at(-1);
  assert.equal(end?.event, 'error');
  assert.equal((end.data['error'] as Record<string, unknown>)['code'], 'cancelled');
});

test('a job that is deleted while it is watched ends with an error', async (t) => {
  const served = await serve(t, { worker: false });
  const { body } = await create(served, { text: 'a' });
  const reading = readEvents(served, pathOf(body['id'], '/events'));
  await call(served, pathOf(body['id']), { method: 'DELETE' });
  assert.equal((await reading).at(-1)?.event, 'error');
});

test('twenty readers of one job all see its end', async (t) => {
  const served = await serve(t);
  const { body } = await create(served, SLOW);
  const readers = Array.from({ length: 20 }, () => readEvents(served, pathOf(body['id'], '/events')));
  for (const events of await Promise.all(readers)) assert.equal(events.at(-1)?.event, 'completed');
});

test('a reader beyond the number that may wait is refused before its stream begins', async (t) => {
  const served = await serve(t, { worker: false, limits: { maxWaiting: 1 } });
  const { body } = await create(served, { text: 'a' });
  const path = pathOf(body['id'], '/events');
  const first = await fetch(new URL(path, served.url));
  const second = await call(served, path);
  assertProblem(second, { code: 'too_many_waiting', status: 503 });
  assert.match(second.headers.get('retry-after') ?? '', /^\d+$/);
  await first.body?.cancel();
});
