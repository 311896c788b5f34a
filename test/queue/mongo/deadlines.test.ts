/** Times of jobs in MongoDB: what other programs and other versions leave there, what the database refuses, and what a look costs. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { type Document, Long } from 'mongodb';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { makeMongoPlace } from './mongo-place.ts';

const binary = await findMongod();
const running = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => running?.[Symbol.asyncDispose]());
const servers = running as MongoServers;

const past = new Date(Date.now() - 60_000);
const OVER = { text: 'x', status: 'pending', kind: 'mine', job: { cancel_at: past } };

suite('times of jobs in MongoDB', running === undefined ? { skip: NO_MONGOD } : {}, () => {
  test('what other programs wrote there is left as it is, and an ended job of an older version only loses its time', async (t) => {
    const place = makeMongoPlace(t, servers);
    const foreign: Document[] = [
      { job: { cancel_at: [past, past] } },
      { job: { cancel_at: 'yesterday' } },
      { job: { cancel_at: Long.fromNumber(5) } },
      { job: { cancel_at: null } },
      { job: [{ cancel_at: past }] },
      { job: { cancel_at: past }, status: 'draft' },
      { job: { cancel_at: past }, status: ['pending'] },
      { job: 7 },
    ].map((fields, n) => ({ text: 'x', status: 'pending', ...fields, _id: `foreign ${n}` }));
    await place.prompts.insertMany(foreign as never);
    const ended = { ...OVER, status: 'completed', image_url: 'gs://b/x.png' };
    await place.prompts.insertMany([
      { ...OVER, _id: 'over' },
      { ...ended, _id: 'ended' },
    ] as never);
    assert.deepEqual(await place.open().endOverdue(), { ended: ['over'], nextMs: undefined });
    const now = await place.prompts.find({ _id: /^foreign/ }).toArray();
    assert.deepEqual(
      now.toSorted((a, b) => (String(a._id) < String(b._id) ? -1 : 1)).map(({ status }) => status),
      foreign.map(({ status }) => status),
    );
    const left = await place.prompts.findOne({ _id: 'ended' as never });
    assert.deepEqual([left?.['status'], left?.['job']], ['completed', {}]);
    const over = await place.prompts.findOne({ _id: 'over' as never });
    assert.equal(over?.['job']?.cancel_at, undefined);
    assert.match(String(over?.['error']), /^cancelled: /);
  });

  test('behind 300 jobs that the database refuses to change the others are ended', async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    const refused = Array.from({ length: 300 }, (_, n) => ({ ...OVER, kind: 'other', _id: n }));
    await place.prompts.insertMany(refused as never);
    const later = new Date(past.getTime() + 1);
    await place.prompts.insertOne({ ...OVER, job: { cancel_at: later }, _id: 'good' } as never);
    await place.client.db().command({ collMod: 'prompts', validator: { kind: 'mine' }, validationLevel: 'strict' });
    const ended: string[] = [];
    for (let look = 0; look < 5; look++) ended.push(...(await queue.endOverdue()).ended);
    assert.deepEqual(ended, ['good']);
    assert.equal(await place.prompts.countDocuments({ status: 'pending' }), 300);
  });

  test('a look reads the same few keys among any number of jobs that have no time', async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    const db = place.client.db();
    await queue.endOverdue();
    await place.prompts.insertMany(Array.from({ length: 3000 }, () => ({ text: 'x', status: 'pending' })) as never);
    await queue.enqueue([{ text: 'x' }], { cancelAfterMs: 60_000 });
    await db.command({ profile: 2 });
    assert.ok(((await queue.endOverdue()).nextMs ?? 0) > 0);
    await db.command({ profile: 0 });
    const statements = await db
      .collection('system.profile')
      .find({ ns: `${db.databaseName}.prompts` })
      .toArray();
    assert.equal(statements.length, 1);
    assert.ok(Number(statements[0]?.['keysExamined']) <= 2, JSON.stringify(statements[0]?.['keysExamined']));
    assert.ok(Number(statements[0]?.['docsExamined']) <= 1);
  });

  test('the times are the server’s: a process whose clock is wrong sets and ends none too early', async (t) => {
    const place = makeMongoPlace(t, servers);
    t.mock.method(Date, 'now', () => 0);
    const queue = place.open();
    await queue.enqueue([{ _id: 'a', text: 'x' }], { cancelAfterMs: 60_000 });
    const { ended, nextMs = 0 } = await queue.endOverdue();
    assert.deepEqual(ended, []);
    assert.ok(nextMs > 0 && nextMs <= 60_000, String(nextMs));
  });
});
