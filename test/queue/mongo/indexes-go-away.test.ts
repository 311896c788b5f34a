/** Indexes, collections and rights go away while a worker uses them: it goes on, says so once, and never spins. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { makeMongoPlace, type MongoPlace } from './mongo-place.ts';

const binary = await findMongod();
const skip = binary === undefined ? { skip: NO_MONGOD } : {};
if (binary === undefined) test('indexes that go away', skip);

/** All commands that the server has got. */
async function commands(client: MongoClient): Promise<number> {
  const { metrics } = await client.db('admin').command({ serverStatus: 1 });
  const totals = Object.values(metrics.commands as Record<string, { readonly total?: unknown }>);
  return totals.reduce((sum, { total }) => sum + Number(total ?? 0), 0);
}

const NAMES = ['text2img_pending', 'text2img_processing', 'text2img_webhooks'];

const HARMS: Readonly<Record<string, (place: MongoPlace) => Promise<unknown>>> = {
  ...Object.fromEntries(
    NAMES.map((name) => [`${name} is dropped`, ({ prompts }: MongoPlace) => prompts.dropIndex(name)]),
  ),
  ...Object.fromEntries(
    NAMES.map((name) => [
      `${name} is hidden`,
      ({ client }: MongoPlace) => client.db().command({ collMod: 'prompts', index: { name, hidden: true } }),
    ]),
  ),
  'all indexes are dropped': ({ prompts }) => prompts.dropIndexes(),
  'an index of the same name with another key takes its place': async ({ prompts }) => {
    await prompts.dropIndex('text2img_pending');
    await prompts.createIndex({ mine: 1 }, { name: 'text2img_pending' });
  },
  'the collection is dropped': ({ prompts }) => prompts.drop(),
  'the collection is renamed': ({ prompts }) => prompts.rename(`old${Date.now()}`),
  'the database is dropped': ({ client }) => client.db().dropDatabase(),
};

for (const [name, servers] of binary === undefined
  ? []
  : ([
      ['a standalone', await MongoServers.standalone(binary)],
      ['a replica set', await MongoServers.replicaSet(binary)],
    ] as const)) {
  after(() => servers[Symbol.asyncDispose]());
  suite(`on ${name}`, () => {
    for (const [what, harm] of Object.entries(HARMS)) {
      test(`${what}: prompts are claimed, webhooks are looked for, few commands are sent, at most two lines say so`, async (t) => {
        const place = makeMongoPlace(t, servers);
        const queue = place.open();
        await queue.isDrained();
        await harm(place);
        const before = await commands(place.client);
        for (let n = 0; n < 5; n++) {
          await place.prompts.insertOne({ _id: n, text: 'x', status: 'pending' } as never);
          await queue.reap();
          assert.equal((await queue.claim({ limit: 1 })).length, 1);
          assert.deepEqual(await queue.outbox.claimDue({ limit: 1, leaseMs: 1000 }), []);
          assert.deepEqual(await queue.outbox.counts(), { pending: 0, dead: 0 });
          assert.equal(await queue.isDrained(), false);
          await queue.msUntilNextDue();
        }
        const sent = (await commands(place.client)) - before;
        assert.ok(sent < 400, `${sent} commands for five rounds`);
        assert.ok(place.warnings.length <= 2, place.warnings.join('\n'));
      });
    }

    test('an index is dropped before a count or a look: each works, also many at once', async (t) => {
      const looks: readonly ((queue: ReturnType<MongoPlace['open']>) => Promise<unknown>)[] = [
        (queue) => queue.depth({ status: 'pending', most: 10 }),
        (queue) => queue.depth({ status: 'open', most: 10 }),
        (queue) => queue.oldestPendingMs(),
        (queue) => queue.counts(),
        (queue) => queue.outbox.counts(),
        (queue) => queue.outbox.dueNow(),
        (queue) => queue.list({ limit: 5, tenant: 'somebody' }),
        (queue) => queue.placeInQueue('0'.repeat(24), { most: 10 }),
        (queue) => Promise.all(Array.from({ length: 20 }, () => queue.depth({ status: 'open', most: 10 }))),
      ];
      for (const look of looks) {
        const place = makeMongoPlace(t, servers);
        await using queue = place.open();
        await queue.isDrained();
        await queue.enqueue([{ _id: { $oid: '0'.repeat(24) }, text: 'x' }]);
        await place.prompts.dropIndexes();
        await look(queue);
      }
    });

    test('what is lost is made anew', async (t) => {
      const place = makeMongoPlace(t, servers);
      const queue = place.open();
      await queue.isDrained();
      await place.prompts.dropIndexes();
      await place.prompts.insertOne({ _id: 1, text: 'x', status: 'pending' } as never);
      assert.equal((await queue.claim({ limit: 1 })).length, 1);
      const all = async (): Promise<boolean> => {
        const there = (await place.prompts.listIndexes().toArray()).map((index) => index['name'] as string);
        return NAMES.every((index) => there.includes(index));
      };
      for (let n = 0; n < 200 && !(await all()); n++) await sleep(50);
      assert.ok(await all());
    });

    test('whoever only looks makes no collection and no index', async (t) => {
      const place = makeMongoPlace(t, servers);
      const queue = place.open();
      await queue.list({ limit: 5 });
      await queue.counts();
      await queue.stuck();
      await queue.outbox.list({ limit: 5 });
      await queue.outbox.counts();
      assert.equal(await queue.show('nobody'), undefined);
      assert.equal(await queue.cancel('nobody'), undefined);
      assert.equal(await queue.retry('nobody'), undefined);
      assert.deepEqual(await place.client.db().listCollections().toArray(), []);
      assert.deepEqual(place.warnings, []);
    });

    test('a wait leaves no listener at the signal', async (t) => {
      const place = makeMongoPlace(t, servers);
      const queue = place.open();
      await queue.isDrained();
      const { signal } = new AbortController();
      for (let n = 0; n < 30; n++) await queue.untilChanged({ timeoutMs: 1, signal });
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    });

    if (name === 'a replica set')
      test('after the collection was dropped the change stream is opened anew: a prompt ends a wait of ten minutes', async (t) => {
        const place = makeMongoPlace(t, servers);
        const queue = place.open();
        await queue.isDrained();
        const { signal } = new AbortController();
        await queue.untilChanged({ timeoutMs: 500, signal });
        await place.prompts.drop();
        await sleep(200);
        const until = AbortSignal.timeout(60_000);
        for (let n = 0; !until.aborted; n++) {
          const waiting = queue.untilChanged({ timeoutMs: 600_000, signal: until });
          await sleep(3000);
          await place.prompts.insertOne({ _id: n, text: 'x', status: 'pending' } as never);
          await waiting;
          if (n === 2) return assert.deepEqual(place.warnings, []);
        }
        assert.fail('a wait did not end in a minute');
      });
  });
}

test(
  'a user without the right to open change streams polls, is told so once, and sends few commands',
  skip,
  async (t) => {
    // Without users every right is there; a fail point answers as the server does to those who lack it.
    const servers = await MongoServers.standalone(binary as string, ['--setParameter', 'enableTestCommands=1']);
    const place = makeMongoPlace(t, servers);
    t.after(() => servers[Symbol.asyncDispose]());
    await place.client.db('admin').command({
      configureFailPoint: 'failCommand',
      mode: 'alwaysOn',
      data: { failCommands: ['aggregate'], errorCode: 13, appName: 'text2img' },
    });
    const queue = place.open();
    // Counts are aggregations too.
    await queue.claim({ limit: 1 });
    const { signal } = new AbortController();
    const before = await commands(place.client);
    const endMs = performance.now() + 4000;
    while (performance.now() < endMs) await queue.untilChanged({ timeoutMs: 1000, signal });
    const sent = (await commands(place.client)) - before;
    assert.ok(sent < 100, `${sent} commands in four seconds of an idle worker, monitoring included`);
    assert.equal(place.warnings.filter((line) => line.includes('change stream')).length, 1, place.warnings.join('\n'));
  },
);
