/** Tenants take turns at a worker: real queue, real child process, pixels at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePlace, type Place, work } from './place.ts';

async function add({ queue }: Place, tenant: string | undefined, texts: readonly string[]): Promise<void> {
  await queue.enqueue(
    texts.map((_id) => ({ _id, text: 'x' })),
    { labels: { tenant } },
  );
}

async function orderOf(place: Place, isFair: boolean): Promise<readonly string[]> {
  const { events } = await work(place, { isFair, batchSize: 1 });
  return events.filter(({ type }) => type === 'claimed').map(({ id }) => id);
}

test('with turns a tenant with few jobs waits for one job of each other tenant, without turns for all', {
  timeout: 60_000,
}, async (t) => {
  const anna = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'];
  const addAll = async (place: Place): Promise<void> => {
    await add(place, 'anna', anna);
    await add(place, undefined, ['n1', 'n2']);
    await add(place, 'ben', ['b1', 'b2']);
  };
  const [fair, plain] = [await makePlace(t), await makePlace(t)];
  await addAll(fair);
  await addAll(plain);
  const order = await orderOf(fair, true);
  const rounds = [order.slice(0, 3), order.slice(3, 6)].map((round) => new Set(round));
  assert.deepEqual(rounds, [new Set(['a1', 'b1', 'n1']), new Set(['a2', 'b2', 'n2'])]);
  assert.deepEqual(order.slice(6), ['a3', 'a4', 'a5', 'a6']);
  assert.deepEqual(await orderOf(plain, false), [...anna, 'n1', 'n2', 'b1', 'b2']);
});
