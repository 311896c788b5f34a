/** `_id`s of every kind that BSON has: each prompt is drawn under its own name or fails with a sentence, and none stops the others. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Binary, BSON, type Document, UUID } from 'mongodb';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { promptIdText } from '../../../src/job/document-id.ts';
import { canBeSent, documentIdOf, idsOfText, namingOf } from '../../../src/queue/mongo/bson-ids.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { RawInserter } from '../../servers/raw-insert.ts';
import { claimAll, makeMongoPlace } from './mongo-place.ts';

const binary = await findMongod();
const running = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => running?.[Symbol.asyncDispose]());
const skip = running === undefined ? { skip: NO_MONGOD } : {};
const servers = running as MongoServers;

const SEED = 20261125;

const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    NaN,
    -0,
    2.2,
    2 ** 31,
    2 ** 53,
    -Infinity,
    1e300,
    '',
    'INVALID',
    '\0',
    new Date(0),
    new Date(8.64e15),
    new BSON.MinKey(),
    new BSON.MaxKey(),
    new BSON.Timestamp({ t: 7, i: 7 }),
    BSON.Timestamp.MAX_VALUE,
    new BSON.Code('x'),
    new BSON.Code('x', { y: 1 }),
    new BSON.BSONSymbol('s'),
    new BSON.DBRef('c', new BSON.ObjectId('aaaaaaaaaaaaaaaaaaaaaaaa')),
    new BSON.DBRef('c', new BSON.ObjectId('bbbbbbbbbbbbbbbbbbbbbbbb'), 'd'),
    new BSON.Int32(5),
    new BSON.Double(5),
    BSON.Long.MIN_VALUE,
    BSON.Long.MAX_VALUE,
  ),
  fc
    .constantFrom('0', '-0', '1.50', 'NaN', 'Infinity', '1E+6000', '9223372036854775808')
    .map((text) => BSON.Decimal128.fromString(text)),
  fc
    .tuple(fc.uint8Array({ maxLength: 20 }), fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 128, 255))
    .map(([bytes, type]) => new Binary(Buffer.from(bytes), type)),
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.double(),
);

const inside = fc.oneof(
  scalar,
  fc.constantFrom<unknown>(new BSON.BSONRegExp('(', 'i'), new BSON.BSONRegExp('a', 'xi')),
  fc.constant([]),
  fc.array(scalar, { maxLength: 3 }),
);

/** As a `Map`, which the driver sends as it is, whatever its names are. */
const document = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'a',
        'b',
        '1',
        '0',
        '_bsontype',
        '$oid',
        '$numberLong',
        '$date',
        'a.b',
        '',
        '__proto__',
        'toString',
        'é',
      ),
      inside,
    ),
    { maxLength: 4 },
  )
  .map((entries) => new Map(entries));

const nested = fc
  .tuple(fc.constantFrom('x', '_bsontype', '7'), document)
  .map(([name, inner]) => new Map([[name, inner]]));

test(
  '600 odd _ids: every prompt is completed or fails with a sentence about its _id, and the good one is drawn',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    await using raw = await RawInserter.connect(servers.members[0]?.port ?? 0);
    const database = place.prompts.dbName;
    let inserted = 0;
    for (const _id of fc.sample(fc.oneof(scalar, document, nested), { numRuns: 1500, seed: SEED })) {
      if (inserted === 600) break;
      const document_ = new Map<string, unknown>([
        ['_id', _id],
        ['text', 'x'],
        ['status', 'pending'],
        ['number', inserted],
      ]);
      // Twice the same, or none that a server takes: those are no documents.
      const is = await raw
        .insert({ database, collection: 'prompts' }, document_ as unknown as Document)
        .catch(() => false);
      if (is) inserted++;
    }
    assert.ok(inserted >= 400, `${inserted} were taken`);
    await place.prompts.insertOne({ _id: 'zz-good', text: 'x', status: 'pending' } as never);
    const claimed = await claimAll(queue);
    assert.equal(new Set(claimed.map(({ docKey }) => docKey)).size, claimed.length, 'no two have one name');
    const left = await place.prompts.countDocuments({ status: { $nin: ['completed', 'error'] } });
    assert.equal(left, 0, place.warnings.join('\n'));
    const failed = await place.prompts.find({ status: 'error' }, { projection: { _id: 0, error: 1 } }).toArray();
    assert.equal(failed.length + claimed.length, inserted + 1);
    for (const { error } of failed)
      assert.match(String(error), /^invalid_document: its "_id" cannot be used as a name/);
    assert.ok(claimed.length > failed.length && failed.length > 10, `${claimed.length} drawn, ${failed.length} failed`);
    const listed = (await queue.list({ limit: 1000 })).map(({ id }) => id);
    assert.equal(listed.length, inserted + 1);
    const paged: string[] = [];
    for (let page = await queue.list({ limit: 7 }); page.length > 0; ) {
      paged.push(...page.map(({ id }) => id));
      page = await queue.list({ limit: 7, after: page.at(-1)?.cursor });
    }
    assert.deepEqual(paged, listed, 'the list is the same page by page');
  },
);

test('no kind of value makes the functions about ids throw', () => {
  const values: unknown[] = [
    ...fc.sample(fc.oneof(inside, fc.anything()), { numRuns: 2000, seed: SEED }),
    { _bsontype: 'ObjectId', id: 'x' },
    { a: { _bsontype: 'Long' } },
    [{ _bsontype: 'x' }],
    new Binary(Buffer.from('abcde'), 4),
    { $uuid: 'no' },
    Symbol('x'),
    () => 1,
    undefined,
  ];
  for (const value of values) {
    assert.equal(typeof promptIdText(documentIdOf(value)), 'string');
    assert.ok(['surely', 'maybe', 'no'].includes(namingOf(value)));
    assert.equal(typeof canBeSent(value), 'boolean');
  }
});

test('whole numbers beyond 64 bits name no number, and a Timestamp is no number', () => {
  const kinds = (text: string): string[] =>
    idsOfText(text).map((value) => (BSON.Long.isLong(value) ? value.toString() : typeof value));
  assert.deepEqual(kinds('9223372036854775807'), ['9223372036854775807', 'string']);
  assert.deepEqual(kinds('-9223372036854775808'), ['-9223372036854775808', 'string']);
  for (const text of ['9223372036854775808', '-9223372036854775809', '9999999999999999999'])
    assert.deepEqual(kinds(text), ['string'], text);
  assert.equal(documentIdOf(new BSON.Timestamp({ t: 1, i: 2 })).kind, 'other');
  assert.equal(documentIdOf(new UUID('0b5bd9a6-6a3e-4c6b-9b0e-3f4d5e6a7b8c')).kind, 'uuid');
});

test('an id that two documents share is refused with both names, and each of these names one', skip, async (t) => {
  const place = makeMongoPlace(t, servers);
  const queue = place.open();
  const hex = 'aabbccddeeff001122334455';
  await place.prompts.insertMany(
    [7, '7', new BSON.ObjectId(hex), hex].map((_id) => ({ _id, text: typeof _id, status: 'pending' })) as never,
  );
  for (const [text, names] of [
    ['7', ['{"$numberLong":"7"}', '"7"']],
    [hex, [`{"$oid":"${hex}"}`, `"${hex}"`]],
  ] as const) {
    for (const act of [() => queue.show(text), () => queue.cancel(text), () => queue.retry(text)])
      await assert.rejects(
        act(),
        (error) =>
          error instanceof Text2ImgError &&
          error.code === 'ambiguous_id' &&
          names.every((name) => error.message.includes(name)),
      );
    for (const name of names) assert.equal(await queue.cancel(name), true, name);
  }
  assert.equal(await place.prompts.countDocuments({ status: 'error' }), 4);
});
