/** What a URI may say, what keeps a queue from connecting, and servers that hang. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoServerError } from 'mongodb';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import { callServer } from '../../../src/queue/mongo/call-server.ts';
import { FaultProxy } from '../../servers/fault-proxy.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { claimAll, makeMongoPlace } from './mongo-place.ts';

const binary = await findMongod();
const running =
  binary === undefined ? undefined : await MongoServers.standalone(binary, ['--setParameter', 'enableTestCommands=1']);
after(() => running?.[Symbol.asyncDispose]());
const skip = running === undefined ? { skip: NO_MONGOD } : {};
const servers = running as MongoServers;

function open(uri: string, collection = 'prompts'): MongoPromptQueue {
  return new MongoPromptQueue({ uri, collection, leaseMs: 20_000, maxAttempts: 5, owner: 'w', logger: silentLogger });
}

function hasCode(code: string, ...parts: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Text2ImgError);
    assert.equal(error.code, code, error.message);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  };
}

test('names that MongoDB does not allow are refused at once, quoted', () => {
  for (const [path, quoted] of [
    ['x.y', '"x.y"'],
    ['x%20y', '"x y"'],
    ['x%24', '"x$"'],
    ['x%0A', '"x\\\\u000a"'],
    ['x%2Fy', '"x/y"'],
    ['x%5Cy', '"x'],
    ['%00', '"'],
    ['x*', '"x*"'],
    ['ä'.repeat(32), '"ä'],
    ['n'.repeat(64), '"nnn'],
    ['%E0%A4%A', '"%E0'],
  ] as const)
    assert.throws(
      () => open(`mongodb://127.0.0.1:1/${path}`),
      hasCode('invalid_option', quoted.replace('\\\\u', '\\u').slice(0, 3), 'database'),
      path,
    );
  for (const name of ['', '.a', 'a.', 'a..b', 'a$b', 'system.x', 'a\0', 'a\n', 'c'.repeat(260)])
    assert.throws(() => open('mongodb://127.0.0.1:1/app', name), hasCode('invalid_option', '--collection'), name);
  for (const [path, name] of [
    ['n'.repeat(63), 'prompts'],
    ['a-b_c', 'a.b'],
    ['ä', 'ä b'],
  ] as const)
    open(`mongodb://127.0.0.1:1/${path}`, name);
});

test('no option of the URI changes what the code reads and writes', skip, async (t) => {
  const options = [
    'promoteValues=false',
    'promoteLongs=false',
    'promoteBuffers=true',
    'useBigInt64=true',
    'raw=true',
    'bsonRegExp=false',
    'ignoreUndefined=true',
    'serializeFunctions=true',
    'enableUtf8Validation=true',
    'checkKeys=true',
    'forceServerObjectId=true',
    'w=0',
    'w=1&wtimeoutMS=1',
    'readConcernLevel=available',
    'readPreference=secondaryPreferred',
    'retryWrites=false&retryReads=false',
    'promoteValues=false&promoteLongs=false&useBigInt64=true&raw=true',
  ];
  for (const option of options) {
    const place = makeMongoPlace(t, servers);
    const queue = place.open({ uri: `${place.uri}?${option}` });
    const document = { text: 'x', seed: 2 ** 40, width: 512, guidance_scale: 2.5, priority: 1 };
    await queue.enqueue([{ _id: 'a', ...document }]);
    const [claimed] = await claimAll(queue);
    assert.deepEqual(claimed?.document, document, option);
    assert.equal((await queue.show('a'))?.status, 'completed', option);
  }
});

test('a server without TLS, a wrong set name and nobody there are told for what they are', skip, async () => {
  const patience = 'serverSelectionTimeoutMS=700';
  for (const [uri, ...parts] of [
    [servers.uri('app', `tls=true&${patience}`), 'TLS'],
    [servers.uri('app', `replicaSet=other&${patience}`), '"other"', 'no replica set'],
    [`mongodb://127.0.0.1:1/app?${patience}`, 'ECONNREFUSED'],
  ] as const) {
    await using queue = open(uri);
    await assert.rejects(queue.counts(), hasCode('queue_failed', ...parts));
  }
});

test('a healthy document outlives every answer of the server that is not about it', skip, async (t) => {
  for (const failing of ['findAndModify', 'find', 'update'])
    for (const errorCode of [2, 9, 14, 28, 40, 50, 91, 8000, 14031]) {
      const place = makeMongoPlace(t, servers);
      const queue = place.open();
      await queue.isDrained();
      await place.prompts.insertOne({ _id: 'a', text: 'x', status: 'pending' } as never);
      const set = {
        failCommands: [failing],
        errorCode,
        appName: 'text2img',
        namespace: `${place.prompts.dbName}.prompts`,
      };
      await place.client.db('admin').command({ configureFailPoint: 'failCommand', mode: { times: 2 }, data: set });
      assert.equal((await claimAll(queue)).length, 1, `${failing} ${errorCode}`);
      await place.client.db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' });
    }
});

test('a statement whose answer is about the document or not is said three times; one that got no answer in time only once', async () => {
  const options = { place: 'here', deadlineMs: 50, patienceMs: 10_000 };
  let calls = 0;
  const doubtful = async (): Promise<never> => {
    calls++;
    throw new MongoServerError({ message: 'no', code: 2 });
  };
  await assert.rejects(callServer(doubtful, options), hasCode('queue_refused'));
  assert.equal(calls, 3);
  calls = 0;
  const never = (): Promise<never> => {
    calls++;
    return new Promise(() => undefined);
  };
  await assert.rejects(callServer(never, options), hasCode('queue_failed', 'did not answer within 50 ms'));
  assert.equal(calls, 1);
});

test(
  'a server that hangs keeps nobody: the signal ends every statement, the close ends, and a claim that came late is given back',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const proxy = await FaultProxy.start(servers.members[0]?.port ?? 0);
    t.after(() => proxy[Symbol.asyncDispose]());
    const queue = place.open({ uri: `mongodb://127.0.0.1:${proxy.port}/${place.prompts.dbName}` });
    await queue.isDrained();
    await place.prompts.insertOne({ _id: 'a', text: 'x', status: 'pending' } as never);
    const stop = new AbortController();
    const { signal } = stop;
    // The look passes; the claim is begun, and done two seconds later.
    const blocked = { failCommands: ['findAndModify'], blockConnection: true, blockTimeMS: 2000, appName: 'text2img' };
    await place.client.db('admin').command({ configureFailPoint: 'failCommand', mode: { times: 1 }, data: blocked });
    const claiming = queue.claim({ limit: 1, signal });
    await sleep(500);
    stop.abort();
    await assert.rejects(claiming, hasCode('queue_failed', 'before the worker stopped'));
    const jobOf = async (): Promise<unknown> => (await place.prompts.findOne({ _id: 'a' as never }))?.['job'];
    assert.equal(await jobOf(), undefined, 'nobody waited for it');
    const isBack = { status: 'pending', 'job.attempts': 0 };
    for (let n = 0; n < 400 && (await place.prompts.countDocuments(isBack)) === 0; n++) await sleep(25);
    assert.equal(await place.prompts.countDocuments(isBack), 1, 'given back, and the attempt does not count');
    proxy.holdReplies();
    for (const statement of [
      queue.reap({ signal }),
      queue.drainState({ signal }),
      queue.isDrained({ signal }),
      queue.claim({ limit: 1, signal }),
    ])
      await assert.rejects(statement, hasCode('queue_failed', 'before the worker stopped'));
    await queue[Symbol.asyncDispose]();
  },
);

test(
  'a view or a time-series collection in the place of the prompts is told for what it is, and is no trouble that passes',
  skip,
  async (t) => {
    const { client } = makeMongoPlace(t, servers);
    const database = client.db(`kinds${process.pid}`);
    await database.collection<{ _id: string; status: string }>('base').insertOne({ _id: 'a', status: 'pending' });
    await database.createCollection('seen', { viewOn: 'base', pipeline: [] });
    await database.createCollection('times', { timeseries: { timeField: 'at' } });
    await database.collection('times').insertOne({ at: new Date(), status: 'pending', text: 'x' });
    for (const [collection, kind] of [
      ['seen', 'is a view'],
      ['times', 'is a time-series collection'],
    ] as const) {
      await using queue = open(servers.uri(database.databaseName), collection);
      await assert.rejects(queue.claim({ limit: 1 }), hasCode('invalid_option', kind, '--collection'));
    }
  },
);
