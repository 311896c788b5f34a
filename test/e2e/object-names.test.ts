/** Names of objects as the commands meet them: a renamed collection and its adoption, two ids of one plain name, a bucket that refuses one picture. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type BSON, MongoClient } from 'mongodb';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { GcsServer } from '../servers/gcs-server.ts';
import { MongoServers } from '../servers/mongod.ts';
import { root, runCli } from './run-cli.ts';

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());
const needsMongod = servers === undefined ? { skip: NO_MONGOD } : {};
const SMALL = { text: 'a red circle', status: 'pending', width: 64, height: 64, num_inference_steps: 1 };

function environmentOf(gcs: GcsServer, uri: string): Record<string, string> {
  return {
    MONGO_URI: uri,
    GCS_BUCKET: 'pictures',
    MODEL_ID: join(root, 'models', 'demo'),
    STORAGE_EMULATOR_HOST: gcs.url,
  };
}

test(
  'after a collection was renamed its pictures are nobody’s to replace, until an operator adopts one',
  needsMongod,
  async () => {
    await using gcs = await GcsServer.start();
    const uri = (servers as MongoServers).uri(`names${randomBytes(4).toString('hex')}`);
    await using client = new MongoClient(uri);
    const environment = environmentOf(gcs, uri);
    await client
      .db()
      .collection('prompts')
      .insertOne({ _id: 'a', num_images: 2, ...SMALL } as never);
    assert.equal((await runCli({ args: ['run'], environment })).code, 0);
    await client.db().renameCollection('prompts', 'orders');
    const orders = client.db().collection<BSON.Document>('orders');
    await orders.updateOne({ _id: 'a' } as never, { $set: { status: 'pending' } });
    const there = ['--collection', 'orders'];
    const early = await runCli({ args: ['jobs', 'retry', '--adopt', 'a', ...there], environment });
    assert.equal(early.code, 2, 'not while it is pending');
    await runCli({ args: ['run', ...there], environment });
    const failed = await orders.findOne({ _id: 'a' } as never);
    assert.match(String(failed?.['error']), /^foreign_object: .*"prompts"/);
    assert.equal(gcs.history.get('generated/a.png')?.length, 1);
    const adopted = await runCli({ args: ['jobs', 'retry', '--adopt', 'a', ...there], environment });
    assert.equal(adopted.code, 0, adopted.stderr);
    assert.match(adopted.stderr, /2 images adopted/);
    await runCli({ args: ['run', ...there], environment });
    const done = await orders.findOne({ _id: 'a' } as never);
    assert.equal(done?.['status'], 'completed', String(done?.['error']));
    assert.deepEqual(done['image_urls'], ['gs://pictures/generated/a.png', 'gs://pictures/generated/a.2.png']);
    assert.equal(gcs.history.get('generated/a.png')?.length, 2);
    const nobody = await runCli({ args: ['jobs', 'retry', '--adopt', 'b', ...there], environment });
    assert.equal(nobody.code, 2);
  },
);

test('two ids of one plain name have two pictures, also when they are drawn again together', needsMongod, async () => {
  await using gcs = await GcsServer.start();
  const uri = (servers as MongoServers).uri(`names${randomBytes(4).toString('hex')}`);
  await using client = new MongoClient(uri);
  const prompts = client.db().collection<BSON.Document>('prompts');
  await prompts.insertMany([{ _id: -5, ...SMALL } as never, { _id: '-5', ...SMALL } as never]);
  const environment = environmentOf(gcs, uri);
  const urls: unknown[][] = [];
  for (let round = 0; round < 2; round++) {
    assert.equal((await runCli({ args: ['run'], environment })).code, 0);
    const documents = await prompts.find().sort({ _id: 1 }).toArray();
    assert.deepEqual(
      documents.map(({ status }) => status as unknown),
      ['completed', 'completed'],
    );
    urls.push(documents.map((document) => document['image_url'] as unknown));
    await prompts.updateMany({}, { $set: { status: 'pending' } });
  }
  assert.notEqual(urls[0]?.[0], urls[0]?.[1]);
  assert.deepEqual(urls[0], urls[1]);
  assert.equal([...gcs.history.keys()].filter((name) => name.endsWith('.png')).length, 2);
});

test(
  'a picture that the bucket refuses while it takes others ends its prompt once; the others go on',
  needsMongod,
  async () => {
    await using gcs = await GcsServer.start();
    const uri = (servers as MongoServers).uri(`names${randomBytes(4).toString('hex')}`);
    await using client = new MongoClient(uri);
    const prompts = client.db().collection<BSON.Document>('prompts');
    await prompts.insertMany(['a', 'b', 'c'].map((_id) => ({ _id, ...SMALL }) as never));
    gcs.fault = ({ kind, object }) =>
      kind === 'upload' && object === 'generated/b.png'
        ? { kind: 'status', status: 403, reason: 'forbidden', message: 'an object policy forbids it' }
        : undefined;
    const result = await runCli({ args: ['run'], environment: environmentOf(gcs, uri) });
    assert.equal(result.code, 0, result.stderr);
    const documents = await prompts.find().sort({ _id: 1 }).toArray();
    assert.deepEqual(
      documents.map(({ status }) => status as unknown),
      ['completed', 'error', 'completed'],
    );
    assert.match(String(documents[1]?.['error']), /^store_refused: .*an object policy forbids it/);
    assert.equal(
      gcs.requests.filter(({ kind, object }) => kind === 'upload' && object === 'generated/b.png').length,
      2,
      'the second refusal behind a good probe is final',
    );
  },
);
