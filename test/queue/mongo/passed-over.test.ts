/** What cannot be taken never stands in the way of the others, however much of it there is. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Document, ObjectId } from 'mongodb';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import type { UnclaimedPrompt } from '../../../src/queue/prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { claimAll, makeMongoPlace, type MongoPlace } from './mongo-place.ts';

const binary = await findMongod();
const running = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => running?.[Symbol.asyncDispose]());
const skip = running === undefined ? { skip: NO_MONGOD } : {};
const servers = running as MongoServers;

const GOOD = { text: 'good', status: 'pending', kind: 'mine' };
const past = new Date(Date.now() - 60_000);

async function refuseOthersThan(place: MongoPlace, validator: Document): Promise<void> {
  await place.client.db().command({ collMod: 'prompts', validator, validationLevel: 'strict' });
}

test(
  'behind 700 prompts of every priority that a validator keeps from changing the others are drawn, those in front are told twice at most',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    const priorities = [9, 9, 2.5, undefined, 0, null, -3, 'high'];
    await place.prompts.insertMany(
      Array.from({ length: 700 }, (_, n) => ({
        _id: n % 3 === 0 ? `a${n}` : n,
        text: 'x',
        status: 'pending',
        priority: priorities[n % priorities.length],
      })) as never,
    );
    const good = [9, 2.5, undefined, -3, -9].map((priority, n) => ({ ...GOOD, _id: `z${n}`, priority }));
    await place.prompts.insertMany(good as never);
    await refuseOthersThan(place, { kind: 'mine' });
    const claimed = await claimAll(queue);
    assert.deepEqual(
      claimed.map(({ id }) => (id.kind === 'string' ? id.value : '')),
      good.map(({ _id }) => _id),
      'in the order of their priorities',
    );
    assert.deepEqual(await queue.drainState(), { isDrained: true, refused: 700, stuck: 0 });
    assert.ok(place.warnings.length <= 2, place.warnings.join('\n'));
    assert.match(place.warnings.at(-1) ?? '', /"count":700/);
    assert.equal(await place.prompts.countDocuments({ status: 'pending' }), 700, 'they are as they were');
  },
);

test('when every pending prompt is refused it is said once, and they are tried again later', skip, async (t) => {
  const place = makeMongoPlace(t, servers);
  const queue = place.open();
  await place.prompts.insertMany(Array.from({ length: 40 }, (_, n) => ({ ...GOOD, _id: n })) as never);
  // It allows what the user writes, and nothing of ours.
  await refuseOthersThan(place, { job: { $exists: false } });
  assert.equal((await queue.stuck()).length, 20, 'doctor names the first of them');
  const refusals: unknown[] = [];
  assert.deepEqual(await claimAll(queue, { onRefused: (error) => refusals.push(error) }), []);
  assert.equal(refusals.length, 1);
  assert.ok(refusals[0] instanceof Text2ImgError && refusals[0].code === 'queue_refused');
  assert.equal((await queue.drainState()).refused, 40);
  await refuseOthersThan(place, {});
  const { signal } = new AbortController();
  while ((await queue.claim({ limit: 1 })).length === 0) await queue.untilChanged({ timeoutMs: 50, signal });
});

test(
  'what comes in front of refused prompts, urgent, and what comes behind them is claimed at the next look',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    await place.prompts.insertMany(
      Array.from({ length: 300 }, () => ({ _id: new ObjectId(), text: 'x', status: 'pending', priority: 1 })) as never,
    );
    await refuseOthersThan(place, { kind: 'mine' });
    await claimAll(queue, { onRefused: () => undefined });
    for (const priority of [5, 1, undefined]) {
      await place.prompts.insertOne({ ...GOOD, _id: new ObjectId(), priority } as never);
      assert.equal((await queue.claim({ limit: 1 })).length, 1, `priority ${String(priority)}`);
    }
  },
);

test(
  '4,000 documents whose status is a list are passed over, and looks behind them read no more than without them',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    await queue.isDrained();
    const foreign = Array.from({ length: 4000 }, (_, n) => ({
      _id: n,
      text: 'x',
      status: n % 2 === 0 ? ['pending'] : ['pending', 'mine'],
    }));
    await place.prompts.insertMany(foreign as never);
    await place.prompts.insertOne({ ...GOOD, _id: 'good' } as never);
    assert.equal((await claimAll(queue)).length, 1);
    const returned = async (): Promise<number> =>
      Number((await place.client.db().admin().serverStatus())['metrics'].document.returned);
    const before = await returned();
    for (let look = 0; look < 5; look++) assert.deepEqual(await queue.claim({ limit: 1 }), []);
    const read = (await returned()) - before;
    assert.ok(read <= 5 * 100, `${read} documents were read by five looks`);
    assert.equal(await place.prompts.countDocuments({ status: 'pending', 'status.0': 'pending' }), 4000);
  },
);

test('a priority of any kind is claimed, one in a list in a list too', skip, async (t) => {
  const place = makeMongoPlace(t, servers);
  const queue = place.open();
  const odd = [
    [],
    [[]],
    [[7]],
    ['a'],
    [null],
    [1, 'a'],
    [-1],
    {},
    { a: 1 },
    '',
    true,
    false,
    new Date(NaN),
    new Date(5),
    NaN,
    Infinity,
    -Infinity,
    -0,
    null,
  ];
  await place.prompts.insertMany(odd.map((priority, n) => ({ ...GOOD, _id: n, priority })) as never);
  assert.equal((await claimAll(queue)).length, odd.length);
});

test(
  'processing documents that are no claim of ours neither match nor keep a drain from its end, and are counted',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    const jobs: unknown[] = [
      [{ lease_until: past, token: 't' }],
      { lease_until: 'soon' },
      { lease_until: [past] },
      { lease_until: past, token: ['t'] },
      { lease_until: past, token: 7 },
      'mine',
      null,
      undefined,
      {},
    ];
    await place.prompts.insertMany(jobs.map((job, _id) => ({ _id, text: 'x', status: 'processing', job })) as never);
    await place.prompts.insertOne({
      _id: 'list',
      text: 'x',
      status: ['processing'],
      job: { lease_until: past },
    } as never);
    await place.prompts.insertOne({ ...GOOD, _id: 'good' } as never);
    assert.equal((await claimAll(queue)).length, 1);
    assert.deepEqual(await queue.drainState(), { isDrained: true, refused: 0, stuck: jobs.length });
    assert.equal((await queue.stuck()).filter((sentence) => sentence.includes('--force')).length, jobs.length);
    assert.equal(await queue.retry('3', { force: true }), true);
    assert.equal((await claimAll(queue)).length, 1, 'an operator has taken it');
  },
);

test('a lease that nobody writes is over: in the year 9999, a week ahead, before 1970', skip, async (t) => {
  const place = makeMongoPlace(t, servers);
  const queue = place.open();
  const leases = [
    new Date('9999-12-31'),
    new Date(Date.now() + 7 * 86_400_000),
    new Date(0),
    new Date(-5),
    new Date(8.64e15),
  ];
  await place.prompts.insertMany(
    leases.map((lease, _id) => ({ _id, text: 'x', status: 'processing', job: { lease_until: lease } })) as never,
  );
  assert.equal((await claimAll(queue)).length, leases.length);
});

test('attempts and runs that we would not write are replaced', skip, async (t) => {
  const place = makeMongoPlace(t, servers);
  const queue = place.open();
  const attempts = [NaN, -1_000_000, -0.5, 2.5, Infinity, 1e9, 'many', null, [3], { n: 1 }, new Date(5)];
  const runs = [
    undefined,
    '',
    'r',
    'x'.repeat(32),
    'A'.repeat(32),
    'f'.repeat(1000),
    7,
    { a: 1 },
    ['f'.repeat(32)],
    null,
    '$text',
  ];
  await place.prompts.insertMany(
    attempts.map((value, n) => ({
      ...GOOD,
      _id: n,
      job: { resume: true, run_id: 'a'.repeat(32), attempts: value },
    })) as never,
  );
  await place.prompts.insertMany(
    runs.map((run, n) => ({ ...GOOD, _id: 100 + n, job: { resume: true, run_id: run } })) as never,
  );
  await place.prompts.insertMany(
    attempts.map((value, n) => ({
      _id: 200 + n,
      text: 'x',
      status: 'processing',
      job: { lease_until: past, attempts: value },
    })) as never,
  );
  const claimed = await claimAll(queue);
  assert.equal(claimed.length, 2 * attempts.length + runs.length);
  for (const { attempt, runId } of claimed) {
    assert.equal(attempt, 1);
    assert.match(runId, /^[0-9a-f]{32}$/);
  }
});

test(
  'prompts that end without a claim owe their webhook, are told, and keep what the user has in "job"',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open({ maxAttempts: 2 });
    await place.prompts.insertMany(
      [
        {
          _id: 'dead',
          text: 'x',
          status: 'processing',
          callback_url: 'https://a.example/',
          job: { attempts: 2, lease_until: past, token: 't' },
        },
        { _id: 'text', text: 'y', status: 'pending', job: 'mine' },
        { _id: 'list', text: 'z', status: 'pending', job: [{ lease_until: 1, owner: 'me' }] },
        { _id: 'fat', text: 'f', status: 'pending', pad: 'x'.repeat(15.5 * 1024 * 1024) },
        { _id: { _bsontype: 'none' }, text: 'i', status: 'pending' },
      ].map(
        (document) =>
          new Map(
            Object.entries(document).map(([key, value]) => [
              key,
              key === '_id' && typeof value === 'object' ? new Map(Object.entries(value)) : value,
            ]),
          ),
      ) as never,
    );
    const ended: UnclaimedPrompt[] = [];
    const endings = {
      webhookFor: ({ document, failure }: UnclaimedPrompt) => ({
        id: `m${String(document['text'])}`,
        body: failure.message,
        url: 'https://a.example/',
      }),
      onEnded: (prompt: UnclaimedPrompt, webhook: unknown) => {
        assert.ok(webhook !== undefined);
        ended.push(prompt);
      },
    };
    assert.equal(await queue.reap({ endings }), 1);
    assert.deepEqual(await queue.claim({ limit: 10, endings }), []);
    assert.deepEqual(ended.map(({ document }) => String(document['text'])).toSorted(), ['f', 'i', 'x', 'y', 'z']);
    assert.equal((await queue.outbox.counts()).pending, 5);
    assert.equal(await place.prompts.countDocuments({ status: 'error' }), 5);
    const jobOf = async (_id: string): Promise<Document> =>
      (await place.prompts.findOne({ _id: _id as never }))?.['job'] as Document;
    assert.equal((await jobOf('text'))['replaced'], 'mine');
    assert.deepEqual((await jobOf('list'))['replaced'], [{ lease_until: 1, owner: 'me' }]);
    assert.ok((await queue.isDrained()) && (await queue.drainState()).refused === 0);
  },
);

test(
  'documents whose status is nearly pending are named for doctor, and those of other users’ states are not',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    const nearly = ['Pending', 'PENDING', 'queued', ' pending', 'pending\n', 'Queue', 'enqueued'];
    const fine = ['pending', 'completed', 'draft', 'pending review', 'unqueued', 7, null, undefined];
    await place.prompts.insertMany(
      [...nearly, ...fine].map((status, n) => ({
        _id: n,
        text: 'x',
        ...(status === undefined ? {} : { status }),
      })) as never,
    );
    assert.deepEqual(
      await queue.nearMisses(),
      nearly.map((status, n) => `${n} has the status ${JSON.stringify(status)}`),
    );
    await place.prompts.insertMany(Array.from({ length: 50 }, () => ({ text: 'x', status: 'Pending' })) as never);
    assert.equal((await queue.nearMisses()).length, 20, 'the first of them');
  },
);

test(
  'a model that another program wrote as something else than a text is told, and keeps nobody waiting',
  skip,
  async (t) => {
    const place = makeMongoPlace(t, servers);
    const queue = place.open();
    const models = [7, { name: 'a' }, ['b'], true];
    await place.prompts.insertMany(
      models.map((model, _id) => ({ _id, text: 'x', status: 'pending', job: { model } })) as never,
    );
    await place.prompts.insertMany([
      { _id: 'null', text: 'x', status: 'pending', job: { model: null } },
      { _id: 'no job', text: 'x', status: 'pending', job: 'mine' },
      { _id: 'named', text: 'x', status: 'pending', job: { model: 'a' } },
    ] as never);
    const sentences = models.map((_, id) => `${id} has something else than a text in "job.model"`);
    assert.deepEqual((await queue.stuck()).toSorted(), sentences);
    const served = { named: ['a'], takesUnnamed: true };
    assert.deepEqual((await queue.stuck(served)).toSorted(), sentences);
    const claimed = await queue.claim({ limit: 9, models: served });
    assert.deepEqual(claimed.map(({ id }) => (id.kind === 'string' ? id.value : '')).toSorted(), ['named', 'null']);
  },
);
