/** Webhooks that somebody wrote into a document: never sent by themselves, whatever they look like, and in nobody's way. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, suite, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { BSON, type Collection, type Document, MongoClient } from 'mongodb';
import { silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../../servers/find-mongod.ts';
import { MongoServers } from '../../servers/mongod.ts';
import { hostileFields, hostileJson } from '../hostile-values.ts';

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());

const PAST = new Date(Date.now() - 60_000);
const RECORD = { imageUrls: ['gs://b/x.png'], seed: 1, parameters: {}, warnings: [] };
const LEASE = { limit: 8, leaseMs: 60_000 };

interface Written extends Document {
  _id: string;
}

interface Place {
  readonly open: () => MongoPromptQueue;
  readonly prompts: Collection<Written>;
  readonly client: MongoClient;
  readonly warnings: string[];
}

async function makePlace(t: TestContext): Promise<Place> {
  assert.ok(servers !== undefined);
  const uri = servers.uri(`t${randomBytes(6).toString('hex')}`);
  const client = await MongoClient.connect(uri);
  const opened: MongoPromptQueue[] = [];
  t.after(async () => {
    await Promise.all(opened.map((queue) => queue[Symbol.asyncDispose]()));
    await client.close();
  });
  const warnings: string[] = [];
  const logger = { ...silentLogger, warning: (message: string) => void warnings.push(message) };
  const open = (): MongoPromptQueue => {
    const queue = new MongoPromptQueue({
      uri,
      collection: 'prompts',
      leaseMs: 60_000,
      maxAttempts: 5,
      owner: 'w',
      logger,
    });
    opened.push(queue);
    return queue;
  };
  return { open, prompts: client.db().collection('prompts'), client, warnings };
}

/** Completes one prompt with a webhook owed for it. */
async function completeOne(queue: MongoPromptQueue, id: string): Promise<void> {
  await queue.enqueue([{ _id: `doc_${id}`, text: 'x' }]);
  const [claim] = await queue.claim({ limit: 1 });
  assert.ok(claim !== undefined);
  assert.equal(await queue.complete(claim, RECORD, { id, body: `{"id":"${id}"}` }), 'done');
}

function forged(_id: string, hooks: unknown): Written {
  return { _id, text: 'x', status: 'completed', job: { hook_due: PAST, hooks } };
}

suite('webhooks in documents', servers === undefined ? { skip: NO_MONGOD } : {}, () => {
  test('what an inserter wrote is given up with a sentence, and what the service recorded is sent beside it', async (t) => {
    const { open, prompts, warnings } = await makePlace(t);
    const queue = open();
    const hook = { id: 'msg_forged', state: 'pending', attempts: 0, due: PAST, body: '{"forged":true}' };
    await prompts.insertMany([
      forged('a', [hook]),
      forged('b', [
        { ...hook, proof: 'x' },
        { ...hook, proof: randomBytes(32).toString('base64url') },
        { ...hook, proof: { a: 1 } },
      ]),
    ]);
    await completeOne(queue, 'msg_own');
    const due = await queue.outbox.claimDue(LEASE);
    assert.deepEqual(
      due.map(({ id }) => id),
      ['msg_own'],
    );
    assert.deepEqual(await queue.outbox.counts(), { pending: 1, dead: 4 });
    const [listed] = await queue.outbox.list({ state: 'dead', limit: 5 });
    assert.match(listed?.error ?? '', /it has no proof/);
    assert.equal(
      warnings.filter((line) => line.includes('webhooks in documents are dead')).length,
      1,
      'one sentence for all of a look',
    );
  });

  test('a proof is good for its own document, body, id and URL only', async (t) => {
    const { open, prompts } = await makePlace(t);
    const queue = open();
    await completeOne(queue, 'msg_own');
    const own = await prompts.findOne({ _id: 'doc_msg_own' });
    assert.ok(own !== null);
    const [hook] = (own['job'] as Document)['hooks'] as [Document];
    await prompts.insertMany([
      forged('copy', [hook]),
      forged('body', [{ ...hook, body: '{"forged":true}' }]),
      forged('url', [{ ...hook, url: 'https://example.com/' }]),
    ]);
    await prompts.updateOne({ _id: 'doc_msg_own' }, { $set: { 'job.hooks.0.body': '{"changed":true}' } });
    assert.deepEqual(await queue.outbox.claimDue(LEASE), []);
  });

  test('the proof holds for every worker and after a restart; when the key is gone, nothing is sent and an operator can send it by its id', async (t) => {
    const { open, client } = await makePlace(t);
    await completeOne(open(), 'msg_1');
    const [first] = await open().outbox.claimDue(LEASE);
    assert.equal(first?.id, 'msg_1');
    await completeOne(open(), 'msg_2');
    await client.db().collection('text2img_keys').drop();
    const queue = open();
    assert.deepEqual(await queue.outbox.claimDue(LEASE), []);
    assert.equal(await queue.outbox.redrive(), 0, 'all means all that are proved');
    // That there is no key must hold for a while before what is there is given up.
    while ((await queue.outbox.redrive('msg_2')) === 0) {
      assert.deepEqual(await queue.outbox.claimDue(LEASE), []);
      await sleep(250);
    }
    const [again] = await queue.outbox.claimDue(LEASE);
    assert.deepEqual([again?.id, again?.body], ['msg_2', '{"id":"msg_2"}']);
    assert.equal(await queue.outbox.record(again as never, { kind: 'delivered' }), 'done');
  });

  test('two workers that record their first webhooks at once share one key', async (t) => {
    const { open, client } = await makePlace(t);
    const workers = Array.from({ length: 4 }, open);
    await Promise.all(workers.map((queue, index) => completeOne(queue, `msg_${index}`)));
    assert.equal(await client.db().collection('text2img_keys').countDocuments(), 1);
    const due = await open().outbox.claimDue(LEASE);
    assert.equal(due.length, 4);
  });

  test('webhooks that are recorded while forged ones beside them are given up are sent', async (t) => {
    const { open, prompts } = await makePlace(t);
    const [queue, others] = [open(), [open(), open(), open()]];
    await completeOne(queue, 'msg_0');
    const forged = (n: number): Document => ({ id: `f${n}`, state: 'pending', attempts: 0, due: PAST, body: '{}' });
    const seen = new Set<string>();
    let isOver = false;
    const take = async (each: MongoPromptQueue): Promise<void> => {
      while (!isOver) for (const { id } of await each.outbox.claimDue({ limit: 8, leaseMs: 600_000 })) seen.add(id);
    };
    const takers = others.map(take);
    for (let run = 1; run <= 60; run++) {
      await queue.retry('doc_msg_0');
      const [claim] = await queue.claim({ limit: 1 });
      assert.ok(claim !== undefined);
      const forging = Array.from({ length: 4 }, (_, n) =>
        prompts.updateOne(
          { _id: 'doc_msg_0' },
          {
            $push: { 'job.hooks': forged(run * 10 + n) } as never,
            $set: { 'job.hook_due': PAST },
          },
        ),
      );
      await Promise.all([...forging, queue.complete(claim, RECORD, { id: `msg_${run}`, body: '{}' })]);
    }
    // All of ours, or long after they could have been taken.
    for (let look = 0; look < 200 && seen.size < 61; look++) await sleep(50);
    isOver = true;
    await Promise.all(takers);
    const missing = Array.from({ length: 61 }, (_, run) => `msg_${run}`).filter((id) => !seen.has(id));
    assert.deepEqual(missing, []);
    assert.deepEqual(
      [...seen].filter((id) => id.startsWith('f')),
      [],
    );
  });

  test('a worker that another was quicker than finds what else is due in the same millisecond', async (t) => {
    const { open, prompts } = await makePlace(t);
    const queue = open();
    const isDueAtOnce = async (ids: readonly string[]): Promise<void> => {
      for (const id of ids) await completeOne(queue, id);
      const due = { $set: { 'job.hook_due': PAST, 'job.hooks.0.due': PAST } };
      await prompts.updateMany({ _id: { $in: ids.map((id) => `doc_${id}`) } }, due);
    };
    const workers = [open(), open(), open()];
    for (let run = 0; run < 5; run++) {
      await isDueAtOnce(Array.from({ length: 4 }, (_, n) => `msg_${run}_${n}`));
      const taken = await Promise.all(workers.map((worker) => worker.outbox.claimDue(LEASE)));
      assert.equal(taken.flat().length, 4, 'each once');
    }
    for (const [n, worker] of workers.entries()) {
      await isDueAtOnce([`msg_own_${n}`]);
      assert.equal((await worker.outbox.claimDue(LEASE)).length, 1, `worker ${n}`);
    }
  });

  test('however many webhooks one document holds, no more are taken than were asked for', async (t) => {
    const { open, prompts } = await makePlace(t);
    const queue = open();
    await completeOne(queue, 'msg_0');
    for (let run = 1; run <= 11; run++) {
      await queue.retry('doc_msg_0');
      const [claim] = await queue.claim({ limit: 1 });
      assert.ok(claim !== undefined);
      await queue.complete(claim, RECORD, { id: `msg_${run}`, body: '{}' });
    }
    const first = await queue.outbox.claimDue(LEASE);
    assert.equal(first.length, 8);
    assert.equal((await queue.outbox.claimDue(LEASE)).length, 4);
    assert.deepEqual(await queue.outbox.claimDue(LEASE), []);
    const hooks = Array.from({ length: 5000 }, (_, n) => ({
      id: `f${n}`,
      state: 'pending',
      attempts: 0,
      due: PAST,
      body: '{}',
    }));
    await prompts.insertOne(forged('many', hooks));
    assert.deepEqual(await queue.outbox.claimDue(LEASE), []);
    assert.deepEqual(await queue.outbox.counts(), { pending: 12, dead: 5000 });
  });

  test('documents that the server lets nobody change are passed over, however many, and said once', async (t) => {
    const { open, prompts, client, warnings } = await makePlace(t);
    const queue = open();
    const hook = { id: 'f', state: 'pending', attempts: 0, due: PAST, body: '{}' };
    await prompts.insertMany(Array.from({ length: 450 }, (_, n) => ({ ...forged(`bad${n}`, [hook]), bad: true })));
    await client.db().command({ collMod: 'prompts', validator: { bad: { $exists: false } } });
    await completeOne(queue, 'msg_own');
    const due = await queue.outbox.claimDue(LEASE);
    assert.deepEqual(
      due.map(({ id }) => id),
      ['msg_own'],
    );
    assert.deepEqual(await queue.outbox.claimDue(LEASE), []);
    const wait = await queue.outbox.msUntilNextDue();
    assert.ok(wait !== undefined && wait > 1000, `not busy with them: ${wait} ms`);
    const said = warnings.filter((line) => line.includes('skipped')).length;
    await queue.outbox.claimDue(LEASE);
    assert.equal(warnings.filter((line) => line.includes('skipped')).length, said);
  });

  test('what is due without a URL is closed in one call, whatever else is due', async (t) => {
    const { open } = await makePlace(t);
    const queue = open();
    for (const id of ['msg_1', 'msg_2', 'msg_3']) await completeOne(queue, id);
    await queue.enqueue([{ _id: 'own', text: 'x' }]);
    const [claim] = await queue.claim({ limit: 1 });
    assert.ok(claim !== undefined);
    await queue.complete(claim, RECORD, { id: 'msg_url', body: '{}', url: 'https://example.com/' });
    assert.equal(await queue.outbox.closeWithoutUrl('no_url: there is none.'), 3);
    assert.deepEqual(
      (await queue.outbox.claimDue(LEASE)).map(({ id }) => id),
      ['msg_url'],
    );
    assert.equal(await queue.outbox.redrive(), 3, 'they are ours');
  });

  test('a prompt of 1.5 MB and 12 pictures fits into its document, and its webhook is sent byte for byte', async (t) => {
    const { open, prompts } = await makePlace(t);
    const queue = open();
    const text = 'ä'.repeat(750_000);
    await queue.enqueue([{ _id: 'a', text }]);
    const [claim] = await queue.claim({ limit: 1 });
    assert.ok(claim !== undefined);
    const body = JSON.stringify({
      results: Array.from({ length: 12 }, (_, n) => ({ prompt_id: 'a', prompt: text, image_url: `gs://b/${n}` })),
    });
    await queue.complete(claim, RECORD, { id: 'msg_1', body });
    const [due] = await queue.outbox.claimDue(LEASE);
    assert.equal(due?.body, body);
    assert.ok(BSON.calculateObjectSize((await prompts.findOne({ _id: 'a' })) as Document) < 4_000_000);
  });

  test('random documents never stop lists, claims and the outbox, and none of theirs is sent', async (t) => {
    const { open, prompts } = await makePlace(t);
    const queue = open();
    await queue.isDrained();
    const due = fc.oneof(fc.constant(PAST), hostileJson);
    const hook = fc.oneof(
      hostileJson,
      fc.record(
        { id: hostileJson, state: fc.constant('pending'), due, body: hostileJson },
        { requiredKeys: ['state', 'due'] },
      ),
    );
    const job = fc.oneof(
      hostileJson,
      fc.record(
        {
          hook_due: due,
          hooks: fc.oneof(hostileJson, fc.array(hook, { maxLength: 3 })),
          lease_until: due,
          attempts: hostileJson,
          run_id: hostileJson,
          resume: hostileJson,
          progress: hostileJson,
        },
        { requiredKeys: [] },
      ),
    );
    const status = fc.oneof(fc.constantFrom('pending', 'processing', 'completed', 'error'), hostileJson);
    let number = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(hostileFields, job, status), { minLength: 1, maxLength: 10 }),
        async (given) => {
          const ids = given.map(() => `r${number++}`);
          await prompts.insertMany(
            given.map(([fields, ours, state], index) => ({
              ...fields,
              status: state,
              job: ours,
              _id: ids[index] as string,
            })),
          );
          for (const summary of await queue.list({ limit: 100 })) JSON.stringify(summary);
          for (const id of ids) assert.equal((await queue.show(id))?.id, id);
          await queue.counts();
          await queue.outbox.list({ limit: 100 });
          await queue.outbox.counts();
          assert.deepEqual(await queue.outbox.claimDue(LEASE), []);
          await queue.reap();
          for (const claim of await queue.claim({ limit: 20 })) {
            assert.match(claim.runId, /^[0-9a-f]{32}$/);
            assert.ok(Number.isSafeInteger(claim.attempt) && claim.attempt >= 1);
            assert.equal(Object.getPrototypeOf(claim.document), Object.prototype);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
