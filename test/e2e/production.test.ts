/** The service as its users start it: six environment variables, a real MongoDB, a bucket, a webhook; and what bad settings are answered with. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON, MongoClient, ObjectId, UUID } from 'mongodb';
import { Webhook } from 'standardwebhooks';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { GcsServer } from '../servers/gcs-server.ts';
import { MongoServers } from '../servers/mongod.ts';
import { startWebhookReceiver } from '../servers/webhook-receiver.ts';
import { root, runCli, temporaryFolder } from './run-cli.ts';

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());
const needsMongod = servers === undefined ? { skip: NO_MONGOD } : {};
const STEPS = { NUM_INFERENCE_STEPS: '2' };
const MODEL = join(root, 'models', 'demo');
/** Prompts of the demo checkpoint that take a moment at 64 × 64. */
const SMALL = { width: 64, height: 64 };

function newDatabase(): string {
  return (servers as MongoServers).uri(`e2e${randomBytes(4).toString('hex')}`);
}

test(
  'documents become pictures in the bucket and calls of the webhook, and keep what is not ours byte for byte',
  needsMongod,
  async () => {
    await using gcs = await GcsServer.start();
    await using hook = await startWebhookReceiver();
    const uri = newDatabase();
    await using client = new MongoClient(uri);
    const prompts = client.db().collection<BSON.Document>('prompts');
    const mine = {
      'dotted.name': 1,
      $odd: new BSON.Decimal128('1.10'),
      long: BSON.Long.fromString('9007199254740993'),
      when: new Date(5),
      nested: [{ b: null }],
    };
    const [first, uuid] = [new ObjectId(), new UUID()];
    await prompts.insertMany([
      { _id: first, text: 'a red circle on a white background', status: 'pending', ...SMALL, mine },
      { _id: 'two', text: 'a blue square', status: 'pending', ...SMALL, num_images: 2, seed: 4_000_000_000 },
      { _id: uuid, text: 5, status: 'pending' } as never,
      { _id: 'foreign', text: 'x', status: 'draft' } as never,
    ] as never);
    const logFile = join(temporaryFolder(), 'deep', 'service.log');
    const secret = `whsec_${randomBytes(24).toString('base64')}`;
    const result = await runCli({
      args: ['--log-file', logFile, '--log-level', 'debug'],
      environment: {
        MONGO_URI: uri,
        GCS_BUCKET: 'pictures',
        CALLBACK_URL: hook.url,
        MODEL_ID: MODEL,
        ...STEPS,
        BATCH_SIZE: '3',
        STORAGE_EMULATOR_HOST: gcs.url,
        TEXT2IMG_WEBHOOK_SECRET: secret,
        TEXT2IMG_CALLBACK_EVENTS: 'completed,error',
      },
    });
    assert.equal(result.code, 0, result.stderr);
    const done = await prompts.findOne({ _id: first });
    assert.deepEqual(
      [done?.['status'], done?.['image_url']],
      ['completed', `gs://pictures/generated/${first.toHexString()}.png`],
    );
    assert.deepEqual(BSON.serialize({ mine: done?.['mine'] }), BSON.serialize({ mine }));
    assert.ok(done?.['completed_at'] instanceof Date && typeof done['seed'] === 'number');
    const seedType = await prompts.countDocuments({
      _id: { $in: [first, 'two'] },
      seed: { $type: ['int', 'long'] },
    } as never);
    assert.equal(seedType, 2, 'a whole number, however large');
    assert.equal(done['job'].parameters.num_inference_steps, 2);
    assert.equal(done['job'].lease_until, undefined);
    const two = await prompts.findOne({ _id: 'two' } as never);
    assert.deepEqual(two?.['image_urls'], ['gs://pictures/generated/two.png', 'gs://pictures/generated/two.2.png']);
    assert.match(String((await prompts.findOne({ _id: uuid } as never))?.['error']), /^invalid_prompt: "text" is 5/);
    assert.deepEqual(await prompts.findOne({ _id: 'foreign' } as never), {
      _id: 'foreign',
      text: 'x',
      status: 'draft',
    });
    assert.equal(gcs.object('generated/two.2.png')?.bytes.subarray(1, 4).toString(), 'PNG');
    const bodies = hook.received.map(({ body, headers }) => {
      new Webhook(secret).verify(body, headers as Record<string, string>);
      return JSON.parse(body) as {
        results: { prompt_id: string; image_url: string }[];
        errors?: { prompt_id: string }[];
      };
    });
    assert.equal(bodies.length, 3);
    const told = bodies.flatMap(({ results }) => results.map(({ prompt_id: id, image_url: url }) => `${id} ${url}`));
    assert.deepEqual(
      told.toSorted(),
      [
        `${first.toHexString()} gs://pictures/generated/${first.toHexString()}.png`,
        'two gs://pictures/generated/two.2.png',
        'two gs://pictures/generated/two.png',
      ].toSorted(),
    );
    assert.equal(bodies.flatMap(({ errors = [] }) => errors)[0]?.prompt_id, uuid.toHexString(true));
    const log = readFileSync(logFile, 'utf8');
    assert.ok(
      log
        .split('\n')
        .filter(Boolean)
        .every((line) => JSON.parse(line)),
    );
    for (const text of [log, result.stderr, JSON.stringify(await prompts.find().toArray())])
      assert.ok(!text.includes(secret.slice(6)));
  },
);

test('what a receiver did not take stays owed, is counted, and is delivered by hand', needsMongod, async () => {
  await using gcs = await GcsServer.start();
  await using hook = await startWebhookReceiver(
    (response, count) => void response.writeHead(count === 1 ? 410 : 200).end(),
  );
  const environment = {
    MONGO_URI: newDatabase(),
    GCS_BUCKET: 'pictures',
    STORAGE_EMULATOR_HOST: gcs.url,
    MODEL_ID: MODEL,
    ...STEPS,
    CALLBACK_URL: hook.url,
  };
  const added = await runCli({
    args: ['enqueue', '--prompt', 'a red circle', '--width', '64', '--height', '64'],
    environment,
  });
  assert.equal(added.code, 0, added.stderr);
  const drawn = await runCli({ args: ['--json'], environment });
  assert.match(drawn.stdout, /"webhooks":\{"delivered":0,"pending":0,"dead":1,"owed":0,"given_up":1\}/);
  const dead = await runCli({ args: ['webhooks', 'list', '--state', 'dead', '--json'], environment });
  assert.match((JSON.parse(dead.stdout) as { error: string }).error, /410/);
  assert.equal((await runCli({ args: ['webhooks', 'redrive'], environment })).stdout, '1 webhook pending again\n');
  const delivered = await runCli({ args: ['webhooks', 'deliver'], environment });
  assert.match(delivered.stdout, /^1 webhook delivered, 0 attempts failed, 0 pending, 0 dead/);
  assert.equal(hook.received[0]?.body, hook.received[1]?.body);
});

test(
  'what is wrong with database or bucket is said before anything is claimed, with the password nowhere',
  needsMongod,
  async () => {
    await using gcs = await GcsServer.start();
    const uri = newDatabase();
    await using client = new MongoClient(uri);
    const prompts = client.db().collection('prompts');
    await prompts.insertOne({ text: 'x', status: 'pending' });
    const common = { GCS_BUCKET: 'pictures', STORAGE_EMULATOR_HOST: gcs.url, MODEL_ID: MODEL };
    const cases: readonly (readonly [Record<string, string>, number, RegExp])[] = [
      [
        { ...common, MONGO_URI: uri, GCS_BUCKET: 'no-such-bucket' },
        5,
        /bucket no-such-bucket does not exist.*\[store_unwritable\]/,
      ],
      [
        { ...common, MONGO_URI: 'mongodb://user:hunter2@127.0.0.1:9/x?serverSelectionTimeoutMS=300' },
        5,
        /cannot be reached.*\[queue_failed\]/,
      ],
      [{ ...common, MONGO_URI: 'mongodb://user:hunter2@127.0.0.1/' }, 2, /names no database.*\[invalid_option\]/],
      [{ ...common, MONGO_URI: 'postgres://user:hunter2@127.0.0.1/x' }, 2, /\[invalid_option\]/],
      [
        { ...common, MONGO_URI: uri, TEXT2IMG_WEBHOOK_SECRET: 'hunter2', CALLBACK_URL: 'http://127.0.0.1:9/' },
        2,
        /TEXT2IMG_WEBHOOK_SECRET .*\[invalid_option\]/,
      ],
      [
        { ...common, MONGO_URI: uri, TEXT2IMG_SIGNED_URLS: 'on' },
        2,
        /--signed-urls needs a service account.*\[conflicting_options\]/,
      ],
      [{ MONGO_URI: uri }, 2, /--mongo-uri needs --gcs-bucket/],
    ];
    for (const [environment, code, sentence] of cases) {
      const result = await runCli({ args: [], environment });
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, sentence);
      assert.ok(!result.stderr.includes('hunter2'), result.stderr);
    }
    assert.deepEqual((await prompts.findOne())?.['status'], 'pending');
    assert.ok(!existsSync(join(root, 'text2img-data', 'no')));
  },
);

test('doctor and jobs speak of the database and the bucket', needsMongod, async () => {
  await using gcs = await GcsServer.start();
  const environment = { MONGO_URI: newDatabase(), GCS_BUCKET: 'pictures', STORAGE_EMULATOR_HOST: gcs.url };
  const added = await runCli({ args: ['enqueue', '--prompt', 'a fox', '--json'], environment });
  const { id } = JSON.parse(added.stdout) as { id: string };
  const shown = await runCli({ args: ['jobs', 'show', id, '--json'], environment });
  assert.equal((JSON.parse(shown.stdout) as { status: string }).status, 'pending');
  assert.equal((await runCli({ args: ['jobs', 'cancel', id], environment })).code, 0);
  const list = await runCli({ args: ['jobs', 'list', '--status', 'error'], environment });
  assert.match(list.stdout, /cancelled: the job was cancelled/);
  // Looking, cancelling and sending need no bucket.
  const withoutBucket = { MONGO_URI: environment.MONGO_URI };
  for (const [args, says] of [
    [['jobs', 'list'], /cancelled/],
    [['jobs', 'show', id], /a fox/],
    [['webhooks', 'list'], /^$/],
    [['webhooks', 'deliver'], /0 webhooks delivered/],
  ] as const) {
    const looked = await runCli({ args, environment: withoutBucket });
    assert.equal(looked.code, 0, looked.stderr);
    assert.match(looked.stdout, says);
  }
  const doctor = await runCli({ args: ['doctor'], environment });
  assert.match(doctor.stdout, /✓ queue +MongoDB .*: 0 pending, 0 processing, 0 completed, 1 in error/);
  assert.match(doctor.stdout, /✓ store +gs:\/\/pictures.* can be written/);
  // As another program may write it.
  await using client = new MongoClient(environment.MONGO_URI);
  await client.db().collection('prompts').insertOne({ text: 'a fox', status: 'Pending' });
  const unseen = await runCli({ args: ['doctor'], environment });
  assert.match(
    unseen.stdout,
    /✗ prompts +no worker sees: .*"Pending".*\n +→ set their status to "pending", in lower case and without spaces\n/,
  );
  assert.match(unseen.stdout, /\n\d problems?: .*prompts\n$/);
});
