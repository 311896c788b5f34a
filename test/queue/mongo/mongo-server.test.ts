/** What only a server has: elections, lost replies, change streams, rights, validators, indexes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, test, type TestContext } from 'node:test';
import { BSON, type Document, MongoClient, MongoNetworkError, MongoServerError, ObjectId, UUID } from 'mongodb';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { type Logger, silentLogger } from '../../../src/observability/logger.ts';
import { queueError } from '../../../src/queue/mongo/mongo-errors.ts';
import { MongoPromptQueue, type MongoPromptQueueOptions } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import type { ClaimedPrompt, PromptQueue } from '../../../src/queue/prompt-queue.ts';
import { FaultProxy } from '../../servers/fault-proxy.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';

const binary = await findMongod();
const skip = binary === undefined ? { skip: NO_MONGOD } : {};
const proxies: FaultProxy[] = [];
const set =
  binary === undefined
    ? undefined
    : await MongoServers.replicaSet(binary, {
        advertise: async (port) => {
          const proxy = await FaultProxy.start(port);
          proxies.push(proxy);
          return proxy.port;
        },
      });
after(async () => {
  for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
  await set?.[Symbol.asyncDispose]();
});

const RECORD = { imageUrls: ['gs://b/x.png'], seed: 1, parameters: {}, warnings: [] };

function newUri(): string {
  return (set as MongoServers).uri(`s${randomBytes(5).toString('hex')}`);
}

function openQueue(
  t: TestContext,
  changes: Partial<MongoPromptQueueOptions> & { readonly uri: string },
): MongoPromptQueue {
  const queue = new MongoPromptQueue({
    collection: 'prompts',
    leaseMs: 20_000,
    maxAttempts: 5,
    owner: 'w',
    logger: silentLogger,
    ...changes,
  });
  t.after(() => queue[Symbol.asyncDispose]());
  return queue;
}

async function openCollection(t: TestContext, uri: string) {
  const client = new MongoClient(uri);
  t.after(() => client.close());
  return client.db().collection<Document>('prompts');
}

async function claimOne(queue: PromptQueue): Promise<ClaimedPrompt> {
  const [claimed] = await queue.claim({ limit: 1 });
  assert.ok(claimed !== undefined);
  return claimed;
}

test('an election in the middle of the work is waited out', skip, async (t) => {
  const queue = openQueue(t, { uri: newUri() });
  await queue.enqueue([{ text: 'a' }, { text: 'b' }]);
  const first = await claimOne(queue);
  await set?.stepDown();
  assert.equal(await queue.renew(first), 'done');
  assert.equal(await queue.complete(first, RECORD), 'done');
  await set?.stepDown();
  assert.equal((await claimOne(queue)).document['text'], 'b');
});

test(
  'a write whose reply was lost is known for what it was: one claim, one completion, one webhook, one failure',
  skip,
  async (t) => {
    const uri = newUri();
    const queue = openQueue(t, { uri });
    const prompts = await openCollection(t, uri);
    await queue.enqueue(Array.from({ length: 20 }, (_, index) => ({ _id: index, text: 'x' })));
    for (let index = 0; index < 20; index++) {
      for (const proxy of proxies) proxy.dropReplies(1 + (index % 3));
      const claimed = await claimOne(queue);
      for (const proxy of proxies) proxy.dropReplies(1 + (index % 3));
      const webhook = { id: `msg_${index}`, body: '{}' };
      const failure = { code: 'invalid_prompt', message: 'no.' } as const;
      const outcome =
        index % 2 === 0 ? queue.complete(claimed, RECORD, webhook) : queue.fail(claimed, failure, webhook);
      assert.equal(await outcome, 'done');
    }
    for (const { job, status } of await prompts.find().toArray()) {
      assert.ok(status === 'completed' || status === 'error');
      assert.deepEqual([job.attempts, job.hooks.length], [1, 1]);
    }
  },
);

test(
  'an idle worker is woken by a new prompt, a reset one and a given-back one, long before it would look by itself',
  skip,
  async (t) => {
    const uri = newUri();
    const queue = openQueue(t, { uri });
    const prompts = await openCollection(t, uri);
    await queue.enqueue([{ _id: 'old', text: 'x' }]);
    const old = await claimOne(queue);
    const { signal } = new AbortController();
    const wait = async (): Promise<number> => {
      const startedMs = performance.now();
      await queue.untilChanged({ timeoutMs: 20_000, signal });
      return performance.now() - startedMs;
    };
    // The first wait opens the stream.
    await queue.untilChanged({ timeoutMs: 500, signal });
    const changes = [
      () => prompts.insertOne({ text: 'new', status: 'pending' }),
      () => queue.release(old),
      () =>
        prompts
          .updateOne({ _id: 'old' } as never, { $set: { status: 'completed' } })
          .then(() => prompts.updateOne({ _id: 'old' } as never, { $set: { status: 'pending' } })),
    ];
    for (const change of changes) {
      const waited = wait();
      await sleep(100);
      await change();
      assert.ok((await waited) < 10_000, 'woken');
    }
    await set?.stepDown();
    const waited = wait();
    await sleep(1500);
    await prompts.insertOne({ text: 'after the election', status: 'pending' });
    assert.ok((await waited) < 15_000, 'the stream is opened anew');
  },
);

test('without the right to make indexes the queue works, and says so once', skip, async (t) => {
  const servers = await MongoServers.standalone(binary as string, ['--auth']);
  t.after(() => servers[Symbol.asyncDispose]());
  const admin = new MongoClient(servers.uri('admin'));
  await admin.db('admin').command({ createUser: 'root', pwd: 'root', roles: ['root'] });
  await admin.close();
  const root = new MongoClient(servers.uri('admin').replace('//', '//root:root@'));
  t.after(() => root.close());
  const actions = ['find', 'insert', 'update', 'remove'];
  await root.db('app').command({
    createRole: 'worker',
    roles: [],
    privileges: [{ resource: { db: 'app', collection: 'prompts' }, actions }],
  });
  await root.db('app').command({ createUser: 'worker', pwd: 'hunter2', roles: ['worker'] });
  const warnings: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warning: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
  };
  const queue = openQueue(t, { uri: servers.uri('app').replace('//', '//worker:hunter2@'), logger });
  await queue.enqueue([{ text: 'x' }]);
  assert.equal(await queue.complete(await claimOne(queue), RECORD), 'done');
  assert.equal(warnings.filter((warning) => warning.includes('text2img_pending')).length, 1);
  assert.ok(!warnings.join().includes('hunter2'));

  // The operator makes the index under a name of his own: it is used.
  await root
    .db('app')
    .collection('prompts')
    .createIndex({ priority: -1, _id: 1 }, { name: 'mine', partialFilterExpression: { status: 'pending' } });
  const again = openQueue(t, { uri: servers.uri('app').replace('//', '//root:root@').concat('?authSource=admin') });
  await again.enqueue([{ text: 'y' }]);
  assert.equal((await claimOne(again)).document['text'], 'y');

  const stranger = openQueue(t, { uri: servers.uri('app').replace('//', '//worker:wrong@') });
  await assert.rejects(
    stranger.counts(),
    (error) =>
      error instanceof Text2ImgError && error.code === 'queue_unauthorized' && !error.message.includes('wrong@'),
  );
});

test(
  'documents that a validator of the collection keeps from changing are passed over, told once, and listed for doctor',
  skip,
  async (t) => {
    const uri = newUri();
    const prompts = await openCollection(t, uri);
    await prompts.insertMany([
      { _id: 'first', text: 'x', status: 'pending', priority: 9 },
      { _id: 'second', text: 'y', status: 'pending', kind: 'mine' },
    ] as never);
    const client = new MongoClient(uri);
    t.after(() => client.close());
    await client.db().command({ collMod: 'prompts', validator: { kind: 'mine' }, validationLevel: 'strict' });
    const warnings: string[] = [];
    const queue = openQueue(t, { uri, logger: { ...silentLogger, warning: (message) => warnings.push(message) } });
    assert.deepEqual(
      (await queue.claim({ limit: 5 })).map(({ document }) => document['text']),
      ['y'],
    );
    assert.deepEqual(await queue.claim({ limit: 5 }), []);
    assert.equal(warnings.length, 1);
    assert.equal(await queue.isDrained(), false, 'the second one is being drawn');
    assert.match((await queue.stuck()).join(), /^first does not pass/);
    assert.deepEqual((await prompts.findOne({ _id: 'first' } as never))?.['status'], 'pending');
  },
);

test(
  'a look at the head of the queue reads as many documents with 20,000 finished ones as with none',
  skip,
  async (t) => {
    const uri = newUri();
    const queue = openQueue(t, { uri });
    const prompts = await openCollection(t, uri);
    await queue.counts();
    await prompts.insertMany(Array.from({ length: 20_000 }, () => ({ text: 'x', status: 'completed' })));
    await queue.enqueue([{ text: 'a' }]);
    const client = new MongoClient(uri, { monitorCommands: true });
    t.after(() => client.close());
    const { stages } = await explain(prompts, { status: 'pending', priority: { $in: [0, null] } });
    assert.ok(stages.includes('IXSCAN') && !stages.includes('COLLSCAN') && !stages.includes('"SORT"'), stages);
    const before = performance.now();
    assert.equal((await queue.claim({ limit: 1 })).length, 1);
    // No figure to be proud of: a scan of the collection would be seen in `keysExamined` above; this is for the log.
    t.diagnostic(`the claim took ${(performance.now() - before).toFixed(1)} ms`);
  },
);

async function explain(
  prompts: Awaited<ReturnType<typeof openCollection>>,
  filter: Document,
): Promise<{ readonly stages: string }> {
  const plan = await prompts.find(filter).sort({ _id: 1 }).limit(32).hint('text2img_pending').explain('executionStats');
  assert.ok(
    plan['executionStats'].totalDocsExamined <= 32 && plan['executionStats'].totalKeysExamined <= 40,
    JSON.stringify(plan['executionStats']).slice(0, 300),
  );
  return { stages: JSON.stringify(plan['queryPlanner'].winningPlan) };
}

test('every kind of _id that a database allows is claimed, completed and found by what is shown', skip, async (t) => {
  const uri = newUri();
  const queue = openQueue(t, { uri });
  const prompts = await openCollection(t, uri);
  const ids = [
    new ObjectId(),
    new UUID(),
    7,
    -1,
    2 ** 40,
    BSON.Long.MAX_VALUE,
    0.5,
    'plain',
    'not plain/ä',
    '',
    true,
    null,
    new Date(5),
    { a: 1, b: [2] },
    new BSON.Decimal128('1.5'),
    new BSON.Binary(Buffer.from([1]), 0),
  ];
  await prompts.insertMany(ids.map((_id) => ({ _id, text: 'x', status: 'pending' })) as never);
  const claimed = await queue.claim({ limit: 50 });
  assert.equal(claimed.length, ids.length);
  assert.equal(new Set(claimed.map(({ docKey }) => docKey)).size, ids.length);
  for (const one of claimed) assert.equal(await queue.complete(one, RECORD), 'done');
  for (const { id } of await queue.list({ limit: 50 })) assert.equal((await queue.show(id))?.status, 'completed', id);
  assert.equal(await prompts.countDocuments({ status: 'completed' }), ids.length);
});

test('the errors of sockets, servers and documents are told apart, without passwords', () => {
  const place = 'MongoDB h/d.c';
  const cases: readonly (readonly [unknown, string])[] = [
    [Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' }), 'queue_failed'],
    [new MongoNetworkError('gone'), 'queue_failed'],
    [new MongoServerError({ message: 'not primary', code: 10107 }), 'queue_failed'],
    [new MongoServerError({ message: 'Document failed validation', code: 121 }), 'queue_refused'],
    [new MongoServerError({ message: 'too large', code: 17419 }), 'invalid_document'],
    [new MongoServerError({ message: 'over the quota', code: 8000 }), 'queue_failed'],
    [new MongoServerError({ message: 'not authorized on mongodb://u:hunter2@h/d', code: 13 }), 'queue_unauthorized'],
    [new TypeError('a bug of ours'), 'internal'],
  ];
  for (const [error, code] of cases) {
    const known = queueError(error, place);
    assert.equal(known.code, code, String(error));
    assert.ok(!known.message.includes('hunter2'));
  }
});
