/** `job.model`, `job.tenant` and `job.door` of other programs: what is no text is bad input of that document, and keeps nobody else from a turn. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { BSON, type Document } from 'mongodb';
import type { ModelSelection, UnclaimedPrompt } from '../../../src/queue/prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { makeMongoPlace, type MongoPlace } from './mongo-place.ts';

const binary = await findMongod();
const running = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => running?.[Symbol.asyncDispose]());
const servers = running as MongoServers;

const MODELS: ModelSelection = { named: ['a', 'b'], takesUnnamed: true };
const past = new Date(Date.now() - 60_000);

const ODD: Readonly<Record<string, unknown>> = {
  int: 7,
  double: 7.5,
  nan: NaN,
  long: BSON.Long.MAX_VALUE,
  decimal: new BSON.Decimal128('1'),
  bool: true,
  date: past,
  object: { a: 1 },
  empty_object: {},
  object_id: new BSON.ObjectId(),
  binary: new BSON.Binary(Buffer.from('a')),
  pattern: /a/,
  symbol: new BSON.BSONSymbol('a'),
  min_key: new BSON.MinKey(),
  max_key: new BSON.MaxKey(),
  list: ['a'],
  mixed_list: ['x', 'a', 7],
  numbers: [7, 8],
  empty_list: [],
};

async function insert(place: MongoPlace, documents: readonly Document[]): Promise<void> {
  await place.prompts.insertMany(documents.map((document) => ({ text: 'x', status: 'pending', ...document })) as never);
}

/** Claims until nothing comes any more. @returns ids in the order of the claims */
async function claimAll(place: MongoPlace, fair: boolean, told: UnclaimedPrompt[] = []): Promise<readonly string[]> {
  const queue = place.open();
  const endings = { webhookFor: () => undefined, onEnded: (prompt: UnclaimedPrompt) => void told.push(prompt) };
  const claimed: string[] = [];
  for (let empty = 0; empty < 3; ) {
    const claims = await queue.claim({ limit: 1, models: MODELS, fair, endings });
    claimed.push(...claims.map(({ id }) => (id.kind === 'string' ? id.value : '')));
    empty = claims.length === 0 ? empty + 1 : 0;
  }
  return claimed;
}

async function endsOf({ prompts }: MongoPlace): Promise<Readonly<Record<string, string>>> {
  const found = await prompts.find({ status: 'error' }).toArray();
  return Object.fromEntries(found.map(({ _id, error }) => [String(_id), String(error)]));
}

suite('labels that are no texts', running === undefined ? { skip: NO_MONGOD } : {}, () => {
  for (const fair of [false, true]) {
    const how = fair ? 'by turns' : 'in the order of their age';
    test(`a document whose job.model is no text ends as bad input, and no other model draws it, ${how}`, async (t) => {
      const place = makeMongoPlace(t, servers);
      await insert(
        place,
        Object.entries(ODD).map(([_id, model]) => ({ _id, job: { model } })),
      );
      await insert(place, [
        { _id: 'good a', job: { model: 'a' } },
        { _id: 'good null', job: { model: null } },
        { _id: 'good none' },
        { _id: 'of others', job: { model: 'x' } },
        { _id: 'list of others', job: { model: ['x'] } },
      ]);
      const told: UnclaimedPrompt[] = [];
      const claimed = await claimAll(place, fair, told);
      assert.deepEqual(claimed.toSorted(), ['good a', 'good none', 'good null']);
      const ends = await endsOf(place);
      assert.deepEqual(Object.keys(ends).toSorted(), Object.keys(ODD).toSorted());
      assert.equal(told.length, Object.keys(ODD).length, 'each with its webhook');
      assert.equal(ends['list'], 'invalid_document: "job.model" is of type array; allowed are a text or nothing.');
      assert.match(ends['int'] ?? '', /^invalid_document: "job\.model" is of type (?:int|double);/);
      // Nobody that has its model has met it. `doctor` tells of it.
      const waiting = await place.prompts.findOne({ _id: 'list of others' as never });
      assert.equal(waiting?.['status'], 'pending');
      const stuck = await place.open().stuck(MODELS);
      assert.ok(
        stuck.some((sentence) => sentence.startsWith('list of others has something else than a text')),
        stuck.join(),
      );
    });

    test(`a document whose job.tenant is no text ends as bad input, ${how}, and the tenants have their turns`, async (t) => {
      const place = makeMongoPlace(t, servers);
      const odd = Object.entries(ODD).flatMap(([name, tenant]) =>
        [0, 1, 2].map((n) => ({ _id: `${name} ${n}`, job: { tenant, model: 'a' } })),
      );
      await insert(place, odd);
      const names = ['', 'a', 'b', 'zoe', null];
      const good = names.flatMap((tenant) =>
        [0, 1].map((n) => ({ _id: `good ${tenant} ${n}`, job: { tenant, model: 'b' } })),
      );
      await insert(place, good);
      const claimed = await claimAll(place, fair);
      assert.deepEqual(claimed.toSorted(), good.map(({ _id }) => _id).toSorted());
      const ends = await endsOf(place);
      assert.equal(Object.keys(ends).length, odd.length);
      assert.equal(ends['list 1'], 'invalid_document: "job.tenant" is of type array; allowed are a text or nothing.');
      if (!fair) return;
      const turns = claimed.map((id) => id.split(' ').slice(0, 2).join(' '));
      assert.equal(new Set(turns.slice(0, names.length)).size, names.length, turns.join(', '));
    });
  }

  test('with lists as tenants that the database refuses to change, the other tenants still have their turns', async (t) => {
    const place = makeMongoPlace(t, servers);
    await insert(
      place,
      Array.from({ length: 50 }, (_, n) => ({ _id: `a odd ${n}`, job: { tenant: ['b', n], model: 'a' } })),
    );
    const good = ['a', 'b', 'c'].flatMap((tenant) =>
      [0, 1, 2].map((n) => ({ _id: `${tenant} ${n}`, kind: 'mine', job: { tenant, model: 'a' } })),
    );
    await insert(place, good);
    await place.client.db().command({ collMod: 'prompts', validator: { kind: 'mine' }, validationLevel: 'strict' });
    const claimed = await claimAll(place, true);
    assert.deepEqual(claimed.toSorted(), good.map(({ _id }) => _id).toSorted());
    // A turn may be lost to the first lists, until it is known that they cannot be changed.
    for (const tenant of ['a', 'b', 'c']) assert.ok(claimed.indexOf(`${tenant} 0`) < 5, claimed.join());
  });

  test('one that an older worker was generating ends as bad input when its lease is over', async (t) => {
    const place = makeMongoPlace(t, servers);
    const lease = { token: 't', owner: 'w', lease_until: past, attempts: 1, run_id: 'a'.repeat(32) };
    await insert(
      place,
      ['list', 'int'].map((name) => ({ _id: name, status: 'processing', job: { ...lease, model: ODD[name] } })),
    );
    await insert(place, [{ _id: 'good', status: 'processing', job: { ...lease, model: 'a' } }]);
    assert.deepEqual(await claimAll(place, false), ['good']);
    assert.deepEqual(Object.keys(await endsOf(place)).toSorted(), ['int', 'list']);
  });

  test('a door of another type is nobody’s, and keeps no document from being generated', async (t) => {
    const place = makeMongoPlace(t, servers);
    await insert(
      place,
      Object.entries(ODD).map(([_id, door]) => ({ _id, job: { door } })),
    );
    const queue = place.open();
    for (const id of Object.keys(ODD)) {
      const door = (await queue.show(id))?.door;
      if (id !== 'symbol') assert.equal(door, undefined, id);
      assert.equal(await queue.cancel(id, { door: 'd' }), false, id);
      assert.equal(await queue.adopt(id, { from: 'd', to: 'e' }), false, id);
    }
    assert.deepEqual((await claimAll(place, true)).toSorted(), Object.keys(ODD).toSorted());
  });
});
