/** Adding documents to MongoDB: widths of numbers, what is taken back when a later part is refused, and what is too large to be finished. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, suite, test, type TestContext } from 'node:test';
import { type Document, MongoClient } from 'mongodb';
import { silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';

const binary = await findMongod();
const servers =
  binary === undefined ? undefined : await MongoServers.standalone(binary, ['--setParameter', 'enableTestCommands=1']);
after(() => servers?.[Symbol.asyncDispose]());

async function makePlace(t: TestContext): Promise<{ readonly queue: MongoPromptQueue; readonly client: MongoClient }> {
  assert.ok(servers !== undefined);
  const uri = servers.uri(`t${randomBytes(6).toString('hex')}`);
  const client = await MongoClient.connect(uri);
  const options = { uri, collection: 'prompts', leaseMs: 60_000, maxAttempts: 5, owner: 'w', logger: silentLogger };
  const queue = new MongoPromptQueue(options);
  t.after(async () => {
    await queue[Symbol.asyncDispose]();
    await client.close();
  });
  return { queue, client };
}

suite('enqueue into MongoDB', servers === undefined ? { skip: NO_MONGOD } : {}, () => {
  test('whole numbers lie there as int32 or int64 however deep, others as doubles', async (t) => {
    const { queue, client } = await makePlace(t);
    const mine = { small: [1], large: { at: 1764081000000 }, negative: -3_000_000_000, half: 0.5, huge: 1e300 };
    await queue.enqueue([{ text: 'x', seed: 4_294_967_295, mine }]);
    const type = (path: string): Document => ({ $type: path });
    const [types] = await client
      .db()
      .collection('prompts')
      .aggregate([
        {
          $project: {
            _id: 0,
            seed: type('$seed'),
            small: { $type: { $first: '$mine.small' } },
            large: type('$mine.large.at'),
            negative: type('$mine.negative'),
            half: type('$mine.half'),
            huge: type('$mine.huge'),
          },
        },
      ])
      .toArray();
    assert.deepEqual(types, {
      seed: 'long',
      small: 'int',
      large: 'long',
      negative: 'long',
      half: 'double',
      huge: 'double',
    });
  });

  test('where a later part is refused, what the parts before it added is taken back, and nothing else', async (t) => {
    const { queue, client } = await makePlace(t);
    const prompts = client.db().collection('prompts');
    await prompts.createIndex({ order: 1 }, { unique: true, sparse: true });
    await queue.enqueue([{ text: 'before', order: -1 }]);
    const documents = Array.from({ length: 25_000 }, (_, index) => ({
      text: 'x',
      order: index === 24_990 ? -1 : index,
    }));
    await assert.rejects(
      queue.enqueue(documents),
      /^Text2ImgError: document 24991: .*duplicate key.* Nothing was added\.$/,
    );
    assert.deepEqual(
      (await prompts.find().toArray()).map(({ text }) => text as unknown),
      ['before'],
    );
  });

  test('a call with a name takes nothing back when a later part is refused, says so, and can be repeated', async (t) => {
    const { queue, client } = await makePlace(t);
    const prompts = client.db().collection('prompts');
    await prompts.createIndex({ order: 1 }, { unique: true, sparse: true });
    await queue.enqueue([{ text: 'before', order: -1 }]);
    const documents = Array.from({ length: 12_000 }, (_, index) => ({
      _id: `d${index}`,
      text: 'x',
      order: index === 11_990 ? -1 : index,
    }));
    const add = () => queue.enqueue(documents, { enqueueId: 'mine' });
    for (let time = 0; time < 2; time++) {
      await assert.rejects(
        add(),
        /^Text2ImgError: document 11991: .*Some of the documents may have been added.*"mine"/,
      );
      assert.equal(await prompts.countDocuments({ 'job.enqueue_id': 'mine' }), 11_999);
    }
    await prompts.deleteOne({ order: -1 });
    assert.equal((await add()).length, 12_000);
    assert.equal(await prompts.countDocuments(), 12_000);
  });

  test('a repeated call whose document goes with its collection meanwhile adds it, and is not refused', async (t) => {
    const { queue, client } = await makePlace(t);
    const add = () => queue.enqueue([{ _id: 'a', text: 'x' }], { enqueueId: 'mine' });
    await add();
    const admin = client.db('admin');
    const data = { failCommands: ['find'], blockConnection: true, blockTimeMS: 1000, appName: 'text2img' };
    const { count } = await admin.command({ configureFailPoint: 'failCommand', mode: { times: 1 }, data });
    const adding = add();
    // The server has refused the second one as a duplicate, and looks for the first one in a second.
    await admin.command({
      waitForFailPoint: 'failCommand',
      timesEntered: Number(count) + 1,
      maxTimeMS: 30_000,
    });
    await client.db().collection('prompts').rename('elsewhere');
    assert.equal((await adding).length, 1);
    assert.equal(await client.db().collection('prompts').countDocuments({ 'job.enqueue_id': 'mine' }), 1);
  });

  test('a document that would have no room for its completion is refused before it is sent', async (t) => {
    const { queue } = await makePlace(t);
    const adding = queue.enqueue([{ text: 'good' }, { text: 'x', mine: 'y'.repeat(15.9 * 1024 * 1024) }]);
    await assert.rejects(adding, /document 2: it has \d+ bytes in the database; allowed are at most/);
    assert.equal((await queue.counts()).pending, 0);
  });

  test('looking at a queue makes no collection for the webhooks’ key; the first webhook does', async (t) => {
    const { queue, client } = await makePlace(t);
    await queue.outbox.claimDue({ limit: 8, leaseMs: 1000 });
    await queue.outbox.counts();
    await queue.outbox.redrive();
    const names = async (): Promise<readonly string[]> =>
      (await client.db().listCollections().toArray()).map(({ name }) => name);
    assert.ok(!(await names()).includes('text2img_keys'));
    await queue.enqueue([{ text: 'x' }]);
    const [claim] = await queue.claim({ limit: 1 });
    assert.ok(claim !== undefined);
    await queue.fail(claim, { code: 'invalid_prompt', message: 'x.' }, { id: 'msg_1', body: '{}' });
    assert.ok((await names()).includes('text2img_keys'));
  });
});
