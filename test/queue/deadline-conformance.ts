/** What every prompt queue must do with jobs that have a time by which they must have ended. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promptIdText } from '../../src/job/document-id.ts';
import type { ClaimedPrompt, PromptQueue } from '../../src/queue/prompt-queue.ts';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LONG_MS = 60_000;
const HOUR_MS = 60 * 60_000;
const SOON_MS = 1500;
const RECORD = { imageUrls: ['file:///x.png'], seed: 7, parameters: {}, warnings: [] };
const FAILURE = { code: 'inference_failed', message: 'x.' } as const;

async function add(queue: PromptQueue, text: string, cancelAfterMs?: number): Promise<string> {
  const [id] = await queue.enqueue([{ text }], { cancelAfterMs });
  assert.ok(id !== undefined);
  return promptIdText(id);
}

async function claimOf(queue: PromptQueue, id: string): Promise<ClaimedPrompt> {
  const [claimed] = await queue.claim({ limit: 1 });
  assert.ok(claimed !== undefined && promptIdText(claimed.id) === id);
  return claimed;
}

async function errorOf(queue: PromptQueue, id: string): Promise<string> {
  const { status, error = '' } = (await queue.show(id)) ?? {};
  return `${status}: ${error.split(':')[0]}`;
}

export function deadlineConformance(name: string, create: QueueFactory): void {
  suite(`${name} ends jobs whose time is over`, () => {
    test('whoever looks ends them, pending, claimed or put off; all others go on, and the worker has lost its claim', async (t) => {
      const place = await create(t);
      const [front, worker] = [await place.open({ leaseMs: LONG_MS }), await place.open({ leaseMs: LONG_MS })];
      assert.deepEqual(await worker.endOverdue(), { ended: [], nextMs: undefined });
      const running = await add(front, 'running', SOON_MS);
      const claimed = await claimOf(worker, running);
      const later = await add(front, 'put off', SOON_MS);
      await worker.retryLater(await claimOf(worker, later), { delayMs: HOUR_MS, failure: FAILURE });
      const waiting = await add(front, 'waiting', SOON_MS);
      const [patient, timeless] = [await add(front, 'patient', HOUR_MS), await add(front, 'timeless')];
      const before = await worker.endOverdue();
      assert.deepEqual(before.ended, []);
      assert.ok((before.nextMs ?? Infinity) <= SOON_MS);
      await sleep(SOON_MS * 1.2);
      const { ended, nextMs } = await worker.endOverdue();
      assert.deepEqual(new Set(ended), new Set([running, later, waiting]));
      assert.ok(nextMs !== undefined && nextMs > HOUR_MS / 2 && nextMs <= HOUR_MS, String(nextMs));
      for (const id of [running, later, waiting]) assert.equal(await errorOf(front, id), 'error: cancelled');
      assert.equal(await worker.renew(claimed), 'lost');
      assert.equal(await worker.complete(claimed, RECORD), 'lost');
      const left = (await worker.claim({ limit: 9 })).map(({ id }) => promptIdText(id));
      assert.deepEqual(left, [patient, timeless]);
      assert.deepEqual((await front.endOverdue()).ended, []);
    });

    test('a job that has ended before its time stays as it is, and a run that a retry begins has no time', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const done = await add(queue, 'done', SOON_MS);
      await queue.complete(await claimOf(queue, done), RECORD);
      const failed = await add(queue, 'failed', SOON_MS);
      await queue.fail(await claimOf(queue, failed), FAILURE);
      const gone = await add(queue, 'gone', SOON_MS);
      await queue.cancel(gone);
      const over = await add(queue, 'over', 1);
      await sleep(SOON_MS * 1.2);
      assert.deepEqual(await queue.endOverdue(), { ended: [over], nextMs: undefined });
      assert.deepEqual(await Promise.all([done, failed, gone].map((id) => errorOf(queue, id))), [
        'completed: ',
        'error: inference_failed',
        'error: cancelled',
      ]);
      for (const id of [done, failed, gone]) assert.equal(await queue.retry(id), true);
      await queue.retryAll({ status: 'error' });
      assert.deepEqual(await queue.endOverdue(), { ended: [], nextMs: undefined });
      assert.equal((await queue.claim({ limit: 9 })).length, 4);
    });

    test('a released document keeps its time', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const id = await add(queue, 'x', SOON_MS);
      await queue.release(await claimOf(queue, id));
      await sleep(SOON_MS * 1.2);
      assert.deepEqual((await queue.endOverdue()).ended, [id]);
    });

    test('adding again under the same name changes no time', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const documents = [{ _id: 'a', text: 'x' }];
      await queue.enqueue(documents, { enqueueId: 'e', cancelAfterMs: SOON_MS });
      await queue.enqueue(documents, { enqueueId: 'e', cancelAfterMs: HOUR_MS });
      await sleep(SOON_MS * 1.2);
      assert.deepEqual((await queue.endOverdue()).ended, ['a']);
    });

    test('of several that look at once each job is ended by one, however many there are', async (t) => {
      const place = await create(t);
      const queues = await Promise.all([0, 1, 2].map(() => place.open({ leaseMs: LONG_MS })));
      const [queue] = queues as [PromptQueue];
      const ids = await queue.enqueue(
        Array.from({ length: 700 }, () => ({ text: 'x' })),
        { cancelAfterMs: 1 },
      );
      await sleep(20);
      const ended = (await Promise.all(queues.map((one) => one.endOverdue()))).flatMap((one) => one.ended);
      assert.deepEqual(ended.toSorted(), ids.map(promptIdText).toSorted());
      assert.equal((await queue.counts()).pending, 0);
    });
  });
}
