/** A claim reads as many index keys in a large queue as in a small one: for few models or many, served or not, by turns or not. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, suite, test, type TestContext } from 'node:test';
import { type Db, type Document, MongoClient } from 'mongodb';
import { silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import type { ClaimOptions } from '../../../src/queue/prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());

const SMALL = 600;
const LARGE = 6000;

/** Models in the queue, of which some are claimed. */
const MODELS = 60;

const PRIORITIES = {
  mixed: (index: number) => (index % 3 === 0 ? {} : { priority: (index % 7) - 3 }),
  none: () => ({}),
  below: () => ({ priority: -1 }),
} as const;
const TENANTS = {
  none: () => ({}),
  one: () => ({ tenant: 'anna' }),
  many: (index: number) => (index % 4 === 0 ? {} : { tenant: `t${index % 97}` }),
} as const;

interface Case {
  readonly priorities: keyof typeof PRIORITIES;
  readonly tenants: keyof typeof TENANTS;
}

async function makeQueue(t: TestContext, size: number, { priorities, tenants }: Case) {
  assert.ok(servers !== undefined);
  const uri = servers.uri(`t${randomBytes(6).toString('hex')}`);
  const client = await MongoClient.connect(uri);
  const options = { uri, collection: 'prompts', leaseMs: 600_000, maxAttempts: 5, owner: 'w', logger: silentLogger };
  const queue = new MongoPromptQueue(options);
  t.after(async () => {
    await queue[Symbol.asyncDispose]();
    await client.close();
  });
  const documents = Array.from({ length: size }, (_, index) => ({
    text: 'x',
    status: 'pending',
    ...PRIORITIES[priorities](index),
    job: { ...(index % MODELS === 0 ? {} : { model: `m${index % MODELS}` }), ...TENANTS[tenants](index) },
  }));
  await client.db().collection<Document>('prompts').insertMany(documents);
  return { queue, db: client.db() };
}

/** Of all statements of one claim, by the server's profile. */
async function keysOf(db: Db, queue: MongoPromptQueue, options: ClaimOptions): Promise<number> {
  await db.command({ profile: 0 });
  await db.collection('system.profile').drop();
  await db.command({ profile: 2 });
  const claims = await queue.claim(options);
  await db.command({ profile: 0 });
  const statements = await db
    .collection('system.profile')
    .find({ ns: `${db.databaseName}.prompts` })
    .toArray();
  for (const claim of claims) await queue.release(claim);
  assert.ok(statements.length > 0, 'the server has noted the statements');
  return statements.reduce((sum, { keysExamined }) => sum + Number(keysExamined ?? 0), 0);
}

suite('what a claim reads', servers === undefined ? { skip: NO_MONGOD } : {}, () => {
  for (const priorities of Object.keys(PRIORITIES) as (keyof typeof PRIORITIES)[])
    for (const tenants of Object.keys(TENANTS) as (keyof typeof TENANTS)[])
      test(`ten times as many documents cost no more keys: priorities ${priorities}, tenants ${tenants}`, async (t) => {
        const [small, large] = await Promise.all(
          [SMALL, LARGE].map((size) => makeQueue(t, size, { priorities, tenants })),
        );
        assert.ok(small !== undefined && large !== undefined);
        for (const count of [1, 5, 50])
          for (const takesUnnamed of [false, true])
            for (const fair of [false, true]) {
              const named = Array.from({ length: count }, (_, index) => `m${index + 1}`);
              const options = { limit: 1, models: { named, takesUnnamed }, fair };
              const costs = [];
              for (const { db, queue } of [small, large]) {
                // Makes the indexes.
                await queue.drainState(options);
                for (const claim of await queue.claim(options)) await queue.release(claim);
                const keys = [await keysOf(db, queue, options), await keysOf(db, queue, options)];
                costs.push(Math.max(...keys));
              }
              const [few = 0, many = Infinity] = costs;
              // What is not read at 600 documents is what a look takes of a zone: at most 32 more.
              assert.ok(
                many <= 2 * few + 32,
                `${JSON.stringify(options)}: ${few} keys of ${SMALL}, ${many} of ${LARGE}`,
              );
            }
      });

  test('documents for models that nobody serves cost nothing, however many there are', async (t) => {
    const { queue, db } = await makeQueue(t, LARGE, { priorities: 'none', tenants: 'many' });
    for (const fair of [false, true]) {
      const options = { limit: 1, models: { named: ['nobody’s'], takesUnnamed: false }, fair };
      assert.deepEqual(await queue.claim(options), []);
      const keys = await keysOf(db, queue, options);
      assert.ok(keys < LARGE / 50, `${keys} keys`);
    }
  });
});
