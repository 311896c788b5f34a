/** A thousand hostile documents, whatever BSON can hold: none stops the queue, each that is ours ends, the others are as they were. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { BSON, type Document, MongoClient } from 'mongodb';
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import { GcsImageStore } from '../../../src/storage/gcs/gcs-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../../src/storage/object-prefix.ts';
import { runWorker } from '../../../src/worker/worker.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { GcsServer } from '../../servers/gcs-server.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { RawInserter } from '../../servers/raw-insert.ts';
import { NO_WEBHOOKS } from '../../worker/no-webhooks.ts';
import { startInstantPool } from '../../engine/instant-engine.ts';

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());
const needsMongod = servers === undefined ? { skip: NO_MONGOD } : {};

const SEED = 20261124;
const DOCUMENTS = 1000;

const anyBson = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -0,
    NaN,
    Infinity,
    1e300,
    '',
    '$set',
    '$$ROOT',
    '__proto__',
    'constructor',
    'a.b',
    '\0',
    '\uD800',
    'INVALID',
  ),
  fc.constantFrom<unknown>(
    new BSON.MinKey(),
    new BSON.MaxKey(),
    new BSON.Timestamp({ t: 1, i: 2 }),
    new BSON.Decimal128('1E+6000'),
    new BSON.Code('x', { y: 1 }),
    new BSON.BSONSymbol('s'),
    new BSON.DBRef('c', new BSON.ObjectId()),
    new BSON.Binary(Buffer.from([1, 2]), 0x80),
    new BSON.BSONRegExp('(', 'i'),
    new Date(NaN),
    new Date(8.64e15),
    BSON.Long.MAX_VALUE,
    BSON.Long.MIN_VALUE,
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.double(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => BSON.Long.fromBigInt(value)),
  fc.array(fc.oneof(fc.string(), fc.integer()), { maxLength: 4 }),
  fc.dictionary(fc.constantFrom('a', '1', '$x', '__proto__', 'é', 'a.b'), fc.oneof(fc.string(), fc.integer()), {
    maxKeys: 4,
  }),
  fc.constantFrom('x'.repeat(70_000), 'ü'.repeat(200_000)),
);

const OUR_FIELDS = [
  'seed',
  'width',
  'height',
  'num_images',
  'num_inference_steps',
  'guidance_scale',
  'scheduler',
  'negative_prompt',
  'priority',
  'callback_url',
  'job',
  'image_url',
  'error',
  'completed_at',
] as const;

const anyDocument = fc.record({
  text: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('a fox', '', '$set', 'INVALID') },
    { weight: 2, arbitrary: anyBson },
  ),
  // Of a hundred about eighty are ours to end.
  status: fc.oneof(
    { weight: 8, arbitrary: fc.constant<unknown>('pending') },
    {
      weight: 2,
      arbitrary: fc.constantFrom<unknown>(['pending'], 'processing', 'draft', 5, null, 'PENDING', { $eq: 'pending' }),
    },
  ),
  fields: fc.dictionary(fc.constantFrom(...OUR_FIELDS), anyBson, { maxKeys: 3 }),
  mine: anyBson,
});

/** What MongoDB takes as an `_id`: no array, no pattern, no field that begins with `$`. */
const anyId = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  {
    weight: 2,
    arbitrary: anyBson.filter(
      (value) =>
        !Array.isArray(value) && !(value instanceof BSON.BSONRegExp) && !/"\$|\$x/.test(JSON.stringify(value) ?? ''),
    ),
  },
);

test(
  `${DOCUMENTS} hostile documents: none stops the queue, each that is ours ends, the others are untouched`,
  needsMongod,
  async () => {
    const running = servers as MongoServers;
    const uri = running.uri('hostile');
    await using client = new MongoClient(uri);
    const place = { database: 'hostile', collection: 'prompts' };
    await using raw = await RawInserter.connect(running.members[0]?.port ?? 0);
    let number = 0;
    // Some ids come twice, some values no server takes: those are no documents.
    for (const [id, { text, status, fields, mine }] of fc.sample(fc.tuple(anyId, anyDocument), {
      numRuns: DOCUMENTS * 2,
      seed: SEED,
    })) {
      if (number === DOCUMENTS) break;
      const document = { _id: id === undefined ? new BSON.ObjectId() : id, text, status, ...fields, mine, number };
      if (await raw.insert(place, document).catch(() => false)) number++;
    }
    assert.equal(number, DOCUMENTS);
    await client
      .db()
      .collection('prompts')
      .insertMany([
        fullDocument('full', { room: 64, number }),
        fullDocument('almost', { room: 330, number: number + 1 }),
      ]);

    const before = await snapshot(client);
    await using gcs = await GcsServer.start();
    await using queue = new MongoPromptQueue({
      uri,
      collection: 'prompts',
      leaseMs: 3000,
      maxAttempts: 2,
      owner: 'w',
      logger: silentLogger,
    });
    await using pool = await startInstantPool();
    const working = runWorker({
      queue,
      store: new GcsImageStore({
        bucket: gcs.bucket,
        logger: silentLogger,
        credentialsFile: undefined,
        apiEndpoint: gcs.url,
      }),
      pool,
      webhooks: NO_WEBHOOKS,
      objectPrefix: DEFAULT_OBJECT_PREFIX,
      limits: { ...DEFAULT_LIMITS, maxSteps: 4, maxPixels: 64 * 64 },
      defaults: { numInferenceSteps: 1 },
      until: 'drained',
      leaseMs: 3000,
      maxAttempts: 2,
      batchSize: 4,
      signal: AbortSignal.timeout(120_000),
      graceMs: 0,
      pollMs: 50,
      logger: silentLogger,
    });
    // It ends, and says what it may not touch: a full document, and what others have left in `processing`.
    await assert.rejects(
      working,
      (error) =>
        error instanceof Text2ImgError && error.code === 'jobs_left' && /1 pending .* processing/.test(error.message),
    );

    const afterwards = await snapshot(client);
    const counts = { completed: 0, error: 0, untouched: 0, full: 0 };
    for (const [key, was] of before) {
      const is = afterwards.get(key);
      assert.ok(is !== undefined, `${key} is gone`);
      if (was.document['status'] !== 'pending') {
        assert.ok(is.bytes.equals(was.bytes), `${key} is not ours and was changed`);
        counts.untouched++;
      } else if (was.bytes.length > 15_000_000) {
        // What cannot be written stays, and is no reason for the drain not to end.
        counts.full++;
      } else {
        const { status } = is.document;
        assert.ok(
          status === 'completed' || status === 'error',
          `${key} ends as ${String(status)}: ${BSON.EJSON.stringify(was.document).slice(0, 300)}`,
        );
        counts[status as 'completed' | 'error']++;
        const mine = (entry: Entry): Buffer => Buffer.from(BSON.serialize({ mine: entry.document['mine'] }));
        assert.ok(mine(is).equals(mine(was)), `${key} has changed a field that is not ours`);
      }
    }
    assert.equal(counts.full, 2);
    assert.ok(counts.completed > 100 && counts.error > 100 && counts.untouched > 100, JSON.stringify(counts));
  },
);

/** A document at the head of the queue that leaves the server `room` bytes of its 16 MB. */
function fullDocument(id: string, { room, number }: { readonly room: number; readonly number: number }): Document {
  const document = { _id: id, text: 'x', status: 'pending', priority: 1e9, number, mine: '' };
  return { ...document, mine: 'y'.repeat(16 * 1024 * 1024 - room - BSON.calculateObjectSize(document)) };
}

interface Entry {
  readonly document: Document;
  readonly bytes: Buffer;
}

/** Every document by its number. */
async function snapshot(client: MongoClient): Promise<Map<number, Entry>> {
  const found = new Map<number, Entry>();
  const cursor = client.db().collection('prompts').find({}, { raw: true });
  for await (const bytes of cursor as unknown as AsyncIterable<Buffer>) {
    const document = BSON.deserialize(bytes, { validation: { utf8: false }, bsonRegExp: true });
    found.set(document['number'] as number, { document, bytes: Buffer.from(bytes) });
  }
  return found;
}
