/** What every queue's webhook outbox must do. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite, test } from 'node:test';
import { omitUndefined } from '../../src/lib/omit-undefined.ts';
import { promptIdText } from '../../src/job/document-id.ts';
import type { PromptQueue } from '../../src/queue/prompt-queue.ts';
import type { OwedWebhook } from '../../src/queue/webhook-outbox.ts';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LEASE_MS = 60_000;
const RECORD = { imageUrls: ['gs://b/x.png'], seed: 1, parameters: {}, warnings: [] };

/** Completes one new prompt with a webhook owed for it; the id of the prompt. */
async function completeOne(queue: PromptQueue, webhook: OwedWebhook): Promise<string> {
  await queue.enqueue([{ text: 'x' }]);
  const [claimed] = await queue.claim({ limit: 1 });
  assert.ok(claimed !== undefined);
  assert.equal(await queue.complete(claimed, RECORD, webhook), 'done');
  return promptIdText(claimed.id);
}

export function webhookOutboxConformance(name: string, create: QueueFactory): void {
  suite(`${name} keeps the outbox contract`, () => {
    const open: (t: Parameters<QueueFactory>[0]) => Promise<PromptQueue> = async (t) =>
      (await create(t)).open({ leaseMs: LEASE_MS });

    test('what is owed is due at once, byte for byte, to one taker', async (t) => {
      const { outbox, ...queue } = await open(t).then((opened) => ({ outbox: opened.outbox, opened }));
      const body = '{"results":[{"prompt":"$set \\"ä\\" 😀"}]}';
      const promptId = await completeOne(queue.opened, { id: 'msg_1', body, url: 'https://example.com/$x' });
      assert.equal(await outbox.msUntilNextDue(), 0);
      const [due, ...others] = await outbox.claimDue({ limit: 5, leaseMs: LEASE_MS });
      assert.ok(due !== undefined);
      const { token, endedMsAgo, ...facts } = due;
      assert.ok(token.length >= 16);
      assert.ok(endedMsAgo !== undefined && endedMsAgo >= 0, 'it says how long ago the job ended');
      assert.deepEqual(facts, { id: 'msg_1', promptId, body, url: 'https://example.com/$x', attempts: 0 });
      assert.deepEqual(others, []);
      assert.deepEqual(await outbox.claimDue({ limit: 5, leaseMs: LEASE_MS }), []);
      assert.deepEqual(await outbox.counts(), { pending: 1, dead: 0 });
    });

    test('the webhooks of one job are listed by its id, with their states', async (t) => {
      const queue = await open(t);
      const first = await completeOne(queue, { id: 'msg_1', body: '{}' });
      const second = await completeOne(queue, { id: 'msg_2', body: '{}' });
      const list = async (promptId: string, state?: 'dead' | 'pending') =>
        (await queue.outbox.list({ promptId, limit: 5, ...omitUndefined({ state }) })).map(({ id }) => id);
      assert.deepEqual([await list(first), await list(second)], [['msg_1'], ['msg_2']]);
      assert.deepEqual([await list(first, 'pending'), await list(first, 'dead')], [['msg_1'], []]);
      assert.deepEqual(await list('nobody'), []);
    });

    test('pending ones are due at once on demand, one or all, but not what is being sent just now', async (t) => {
      const queue = await open(t);
      const { outbox } = queue;
      for (const id of ['msg_1', 'msg_2', 'msg_3', 'msg_4']) await completeOne(queue, { id, body: '{}' });
      const claim = async () => outbox.claimDue({ limit: 5, leaseMs: LEASE_MS });
      const [first, second, third, fourth] = await claim();
      assert.ok(first && second && third && fourth);
      assert.equal(await outbox.dueNow(), 0, 'all are being sent');
      const later = { kind: 'retry', delayMs: 3_600_000, error: 'HTTP 503' } as const;
      for (const webhook of [first, second, third]) assert.equal(await outbox.record(webhook, later), 'done');
      assert.deepEqual(await claim(), []);
      assert.equal(await outbox.dueNow('nobody'), 0);
      assert.equal(await outbox.dueNow(second.id), 1);
      const again = await claim();
      assert.deepEqual(
        again.map(({ id, attempts }) => [id, attempts]),
        [[second.id, 1]],
        'its attempts count on',
      );
      assert.equal(await outbox.dueNow(), 2);
      assert.deepEqual((await claim()).map(({ id }) => id).toSorted(), [first.id, third.id].toSorted());
      await outbox.record(fourth, { kind: 'dead', error: 'gone' });
      assert.equal(await outbox.dueNow(fourth.id), 0, 'a dead one is taken up again by redrive only');
    });

    test('a prompt without a webhook owes nothing', async (t) => {
      const queue = await open(t);
      await queue.enqueue([{ text: 'x' }]);
      const [claimed] = await queue.claim({ limit: 1 });
      assert.ok(claimed !== undefined);
      await queue.complete(claimed, RECORD);
      assert.equal(await queue.outbox.msUntilNextDue(), undefined);
      assert.deepEqual(await queue.outbox.claimDue({ limit: 1, leaseMs: LEASE_MS }), []);
    });

    test('a repeated completion owes one webhook, a failure may owe one too, and a lost completion none', async (t) => {
      const place = await create(t);
      const [queue, dead] = [await place.open({ leaseMs: LEASE_MS }), await place.open({ leaseMs: 1 })];
      await queue.enqueue([{ text: 'a' }]);
      const [first] = await queue.claim({ limit: 1 });
      assert.ok(first !== undefined);
      const webhook = { id: 'msg_a', body: '{}' };
      await queue.complete(first, RECORD, webhook);
      await queue.complete(first, RECORD, webhook);
      await queue.enqueue([{ text: 'b' }]);
      const [lost] = await dead.claim({ limit: 1 });
      await sleep(10);
      const [second] = await queue.claim({ limit: 1 });
      assert.ok(lost !== undefined && second !== undefined);
      assert.equal(await dead.complete(lost, RECORD, { id: 'msg_lost', body: '{}' }), 'lost');
      const failure = { code: 'invalid_prompt', message: 'no.' } as const;
      assert.equal(await queue.fail(second, failure, { id: 'msg_b', body: '{"errors":[]}' }), 'done');
      const due = await queue.outbox.claimDue({ limit: 9, leaseMs: LEASE_MS });
      assert.deepEqual(due.map(({ id }) => id).toSorted(), ['msg_a', 'msg_b']);
    });

    test('a taker that dies leaves it to the next when its lease ends, and then has no say but a delivery', async (t) => {
      const queue = await open(t);
      await completeOne(queue, { id: 'msg_1', body: '{}' });
      const [died] = await queue.outbox.claimDue({ limit: 1, leaseMs: 300 });
      assert.ok(died !== undefined);
      await sleep(400);
      const [next] = await queue.outbox.claimDue({ limit: 1, leaseMs: LEASE_MS });
      assert.equal(next?.id, 'msg_1');
      assert.equal(await queue.outbox.record(died, { kind: 'retry', delayMs: 0, error: 'x' }), 'lost');
      assert.equal(await queue.outbox.record(died, { kind: 'dead', error: 'x' }), 'lost');
      assert.equal(await queue.outbox.record(died, { kind: 'delivered' }), 'done');
      assert.equal(await queue.outbox.msUntilNextDue(), undefined);
    });

    test('a failed try waits for its time, counts, and tells why', async (t) => {
      const { outbox, queue } = await open(t).then((opened) => ({ outbox: opened.outbox, queue: opened }));
      await completeOne(queue, { id: 'msg_1', body: '{}' });
      const [due] = await outbox.claimDue({ limit: 1, leaseMs: LEASE_MS });
      assert.ok(due !== undefined);
      assert.equal(await outbox.record(due, { kind: 'retry', delayMs: 500, error: '$status 503' }), 'done');
      const wait = await outbox.msUntilNextDue();
      assert.ok(wait !== undefined && wait > 0 && wait <= 500, `${wait} ms`);
      assert.deepEqual(await outbox.claimDue({ limit: 1, leaseMs: LEASE_MS }), []);
      await sleep(600);
      const [again] = await outbox.claimDue({ limit: 1, leaseMs: LEASE_MS });
      assert.equal(again?.attempts, 1);
      const [listed] = await outbox.list({ state: 'pending', limit: 5 });
      assert.deepEqual([listed?.error, listed?.attempts], ['$status 503', 1]);
    });

    test('a dead one rests until an operator redrives it', async (t) => {
      const { outbox, queue } = await open(t).then((opened) => ({ outbox: opened.outbox, queue: opened }));
      await completeOne(queue, { id: 'msg_1', body: '{}' });
      await completeOne(queue, { id: 'msg_2', body: '{}' });
      for (const due of await outbox.claimDue({ limit: 2, leaseMs: LEASE_MS }))
        assert.equal(await outbox.record(due, { kind: 'dead', error: 'gone' }), 'done');
      assert.deepEqual(await outbox.counts(), { pending: 0, dead: 2 });
      assert.equal(await outbox.redrive('msg_2'), 1);
      assert.equal(await outbox.redrive('nobody'), 0);
      const [due] = await outbox.claimDue({ limit: 5, leaseMs: LEASE_MS });
      assert.deepEqual([due?.id, due?.attempts], ['msg_2', 0]);
      assert.equal(await outbox.redrive(), 1);
      assert.deepEqual(await outbox.counts(), { pending: 2, dead: 0 });
    });

    test('a re-run adds to what is owed, and of the delivered ones the last five are kept', async (t) => {
      const { outbox, queue } = await open(t).then((opened) => ({ outbox: opened.outbox, queue: opened }));
      const promptId = await completeOne(queue, { id: 'msg_0', body: '{}' });
      for (let run = 1; run <= 7; run++) {
        await queue.retry(promptId);
        const [claimed] = await queue.claim({ limit: 1 });
        assert.ok(claimed !== undefined);
        await queue.complete(claimed, RECORD, { id: `msg_${run}`, body: '{}' });
      }
      const due = await outbox.claimDue({ limit: 20, leaseMs: LEASE_MS });
      assert.equal(due.length, 8);
      for (const one of due.slice(0, 7)) assert.equal(await outbox.record(one, { kind: 'delivered' }), 'done');
      assert.equal((await outbox.list({ state: 'delivered', limit: 20 })).length, 5);
      assert.deepEqual(await outbox.counts(), { pending: 1, dead: 0 });
      assert.equal((await outbox.list({ limit: 20 })).length, 6);
    });
  });
}
