/**
 * What every prompt queue must do, whatever it is made of. A queue's test file calls `promptQueueConformance` with a factory; leases are short, and
 * time passes by waiting for them.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { promptIdText } from '../../src/job/document-id.ts';
import type { ClaimedPrompt, CompletionRecord, JobSummary, PromptQueue } from '../../src/queue/prompt-queue.ts';

/** One queue as several workers see it: each call opens it once more. */
interface QueueUnderTest {
  open(options: {
    readonly leaseMs: number;
    readonly maxAttempts?: number;
    readonly owner?: string;
  }): Promise<PromptQueue>;
}

/** A new, empty queue, removed after the test. */
export type QueueFactory = (t: TestContext) => Promise<QueueUnderTest>;

const LONG_MS = 60_000;
/** Long enough for a few calls to a busy server. */
const SHORT_MS = 400;
/** A lease of which a busy machine does not lose a third between two lines. */
const UNHURRIED_MS = 2000;

const RECORD: CompletionRecord = {
  imageUrls: ['file:///x.png'],
  seed: 7,
  parameters: { num_inference_steps: 20, scheduler: 'DDIMScheduler' },
  warnings: ['cut'],
};
const FAILURE = { code: 'invalid_parameter', message: '"width" is 100; allowed are multiples of 8.' } as const;

async function claimOne(queue: PromptQueue): Promise<ClaimedPrompt> {
  const [claimed] = await queue.claim({ limit: 1 });
  assert.ok(claimed !== undefined, 'there is something to claim');
  return claimed;
}

async function showOne(queue: PromptQueue, claimed: ClaimedPrompt): Promise<JobSummary> {
  const summary = await queue.show(promptIdText(claimed.id));
  assert.ok(summary !== undefined);
  return summary;
}

export function promptQueueConformance(name: string, create: QueueFactory): void {
  suite(`${name} keeps the queue contract`, () => {
    test('a claimed document has the prompt’s fields as they were given, a token, a run and attempt 1', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const [id] = await queue.enqueue([{ text: 'a cat', width: 512, mine: { deep: ['ä', null, 1.5] } }]);
      const claimed = await claimOne(queue);
      assert.deepEqual(claimed.id, id);
      assert.deepEqual(claimed.document, { text: 'a cat', width: 512 }, 'what is the user’s own is not read');
      assert.ok(
        ['text', 'width', 'mine'].every((name) => claimed.fieldNames.includes(name)),
        'its name is known',
      );
      assert.equal(claimed.attempt, 1);
      assert.equal(claimed.previousAttemptDied, false);
      assert.ok(claimed.token.length >= 16 && claimed.runId.length >= 16 && claimed.token !== claimed.runId);
      assert.ok(claimed.docKey.includes('"_id"'));
    });

    test('a document is claimed once, however many workers ask', async (t) => {
      const place = await create(t);
      const workers = await Promise.all(
        Array.from({ length: 4 }, (_, index) => place.open({ leaseMs: LONG_MS, owner: `w${index}` })),
      );
      await (workers[0] as PromptQueue).enqueue(Array.from({ length: 10 }, (_, index) => ({ text: `${index}` })));
      const claims = (
        await Promise.all(workers.flatMap((queue) => [queue.claim({ limit: 2 }), queue.claim({ limit: 2 })]))
      ).flat();
      assert.equal(claims.length, 10);
      assert.equal(new Set(claims.map(({ id }) => promptIdText(id))).size, 10);
    });

    test('higher priority comes first, absent counts as 0, and among equals the older', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([
        { text: 'low', priority: -5 },
        { text: 'first' },
        { text: 'second', priority: 0 },
        { text: 'high', priority: 5 },
      ]);
      const claims = await queue.claim({ limit: 4 });
      assert.deepEqual(
        claims.map(({ document }) => document['text']),
        ['high', 'first', 'second', 'low'],
      );
    });

    test('a completed document tells its pictures, its seed and what was used, and is never claimed again', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: SHORT_MS });
      await queue.enqueue([{ text: 'x' }]);
      const claimed = await claimOne(queue);
      assert.equal(await queue.complete(claimed, RECORD), 'done');
      assert.equal(await queue.complete(claimed, RECORD), 'done', 'a repetition after a lost answer');
      await sleep(SHORT_MS * 1.5);
      assert.deepEqual(await queue.claim({ limit: 1 }), []);
      const summary = await showOne(queue, claimed);
      const { status, imageUrls, seed, parameters, warnings, owner, leaseUntil, progress, error } = summary;
      assert.deepEqual({ status, imageUrls, seed, parameters, warnings }, { status: 'completed', ...RECORD });
      assert.deepEqual([owner, leaseUntil, progress, error], [undefined, undefined, undefined, undefined]);
      assert.ok(summary.finishedAt instanceof Date);
    });

    test('a failed document tells code and sentence, at most 500 characters, and no picture', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'x' }]);
      const first = await claimOne(queue);
      await queue.complete(first, RECORD);
      await queue.retry(promptIdText(first.id));
      const claimed = await claimOne(queue);
      assert.equal(await queue.fail(claimed, { ...FAILURE, message: `$set ${'x'.repeat(1000)}` }), 'done');
      const { status, error, imageUrls } = await showOne(queue, claimed);
      assert.equal(status, 'error');
      assert.ok(error !== undefined && error.startsWith('invalid_parameter: $set xxx') && error.length <= 500);
      assert.equal(imageUrls, undefined);
    });

    test('when a lease ends, another worker goes on with the same run, and the first has lost it', async (t) => {
      const place = await create(t);
      const [dead, next] = [await place.open({ leaseMs: SHORT_MS }), await place.open({ leaseMs: LONG_MS })];
      await dead.enqueue([{ text: 'x' }]);
      const before = await claimOne(dead);
      assert.deepEqual(await next.claim({ limit: 1 }), []);
      await sleep(SHORT_MS * 1.5);
      const after = await claimOne(next);
      assert.equal(after.runId, before.runId);
      assert.notEqual(after.token, before.token);
      assert.deepEqual([after.attempt, after.previousAttemptDied], [2, true]);
      assert.equal(await dead.renew(before), 'lost');
      assert.equal(await dead.nameObject(before, 'x'), 'lost');
      assert.equal(await dead.complete(before, RECORD), 'lost');
      assert.equal(await dead.fail(before, FAILURE), 'lost');
      assert.equal(await dead.release(before), 'lost');
      assert.equal(await dead.retryLater(before, { delayMs: 0, failure: FAILURE }), 'lost');
      assert.equal(await next.complete(after, RECORD), 'done');
    });

    test('renewing keeps the lease and shows the progress', async (t) => {
      const place = await create(t);
      const [owner, other] = [await place.open({ leaseMs: 1000, owner: 'me' }), await place.open({ leaseMs: LONG_MS })];
      await owner.enqueue([{ text: 'x' }]);
      const claimed = await claimOne(owner);
      for (let beat = 1; beat <= 6; beat++) {
        await sleep(250);
        assert.equal(await owner.renew(claimed, { step: beat, steps: 20 }), 'done');
      }
      assert.deepEqual(await other.claim({ limit: 1 }), []);
      const { progress, owner: shownOwner, status } = await showOne(owner, claimed);
      assert.deepEqual([progress, shownOwner, status], [{ step: 6, steps: 20 }, 'me', 'processing']);
    });

    test('the name of a document’s objects is a renewal, and stays through every later claim and run', async (t) => {
      const place = await create(t);
      const queue = await place.open({ leaseMs: UNHURRIED_MS });
      const other = await place.open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'x' }, { text: 'y' }]);
      const first = await claimOne(queue);
      assert.equal(first.objectName, undefined);
      const id = promptIdText(first.id);
      assert.deepEqual(await queue.identify(id), { id: first.id, docKey: first.docKey });
      await sleep(UNHURRIED_MS * 0.7);
      assert.equal(await queue.nameObject(first, 'x-$name'), 'done');
      await sleep(UNHURRIED_MS * 0.7);
      assert.ok(
        (await other.claim({ limit: 2 })).every((claimed) => promptIdText(claimed.id) !== id),
        'it is still ours',
      );
      await sleep(UNHURRIED_MS);
      const second = await claimOne(other);
      assert.deepEqual([promptIdText(second.id), second.objectName], [id, 'x-$name']);
      assert.equal(await other.complete(second, RECORD), 'done');
      await other.retry(id);
      assert.equal((await claimOne(other)).objectName, 'x-$name');
      const { docKey } = first;
      assert.deepEqual(await other.identify(id), { id: first.id, docKey, objectName: 'x-$name' });
      assert.equal(await other.identify('no such document'), undefined);
    });

    test('a given-back document is pending again, keeps its run, and the attempt does not count', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'x' }]);
      const before = await claimOne(queue);
      assert.equal(await queue.release(before), 'done');
      assert.equal((await showOne(queue, before)).status, 'pending');
      const after = await claimOne(queue);
      assert.deepEqual([after.runId, after.attempt, after.previousAttemptDied], [before.runId, 1, false]);
      assert.equal(await queue.complete(before, RECORD), 'lost');
    });

    test('a retry waits for its time, keeps the run, counts the attempt, and says whether the engine died', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'x' }]);
      const first = await claimOne(queue);
      assert.equal(
        await queue.retryLater(first, { delayMs: 400, failure: { code: 'store_failed', message: 'no.' } }),
        'done',
      );
      assert.deepEqual(await queue.claim({ limit: 1 }), []);
      const wait = await queue.msUntilNextDue();
      assert.ok(wait !== undefined && wait > 0 && wait <= 400, `${wait} ms`);
      await sleep(500);
      const second = await claimOne(queue);
      assert.deepEqual([second.runId, second.attempt, second.previousAttemptDied], [first.runId, 2, false]);
      await queue.retryLater(second, { delayMs: 0, failure: { code: 'engine_crashed', message: 'gone.' } });
      await sleep(5);
      assert.equal((await claimOne(queue)).previousAttemptDied, true);
    });

    test('attempts that turned out to be no fault of a document are returned to it while it waits', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'x' }]);
      let claimed = await claimOne(queue);
      for (let attempt = 1; attempt < 3; attempt++) {
        await queue.retryLater(claimed, { delayMs: 0, failure: { code: 'engine_crashed', message: 'gone.' } });
        await sleep(5);
        claimed = await claimOne(queue);
      }
      const failure = { code: 'engine_crashed', message: 'gone.' } as const;
      const options = { delayMs: LONG_MS, failure, waitToken: 'waits' };
      assert.equal(await queue.retryLater(claimed, options), 'done');
      assert.equal(await queue.retryLater(claimed, options), 'done', 'a repetition after a lost answer');
      const waiting = { id: claimed.id, runId: claimed.runId, waitToken: 'waits', attempts: 2 };
      assert.equal(await queue.returnAttempts({ ...waiting, runId: 'another' }), 'lost');
      assert.equal(await queue.returnAttempts({ ...waiting, waitToken: claimed.token }), 'lost');
      assert.equal(await queue.returnAttempts(waiting), 'done');
      const again = await claimOne(queue);
      assert.deepEqual([again.runId, again.attempt], [claimed.runId, 2]);
      assert.equal(await queue.returnAttempts(waiting), 'lost', 'somebody has claimed it since');
      assert.equal(await queue.complete(again, RECORD), 'done');
      assert.equal(await queue.returnAttempts(waiting), 'lost', 'it has ended');
    });

    test('a document can be given back with all the attempts that died here, and never has less than none', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'x' }]);
      const first = await claimOne(queue);
      await queue.retryLater(first, { delayMs: 0, failure: { code: 'engine_crashed', message: 'gone.' } });
      await sleep(5);
      const second = await claimOne(queue);
      assert.equal(await queue.release(second, { attempts: 2 }), 'done');
      const third = await claimOne(queue);
      assert.equal(third.attempt, 1);
      assert.equal(await queue.release(third, { attempts: 9 }), 'done');
      assert.equal((await claimOne(queue)).attempt, 1);
    });

    test('after the last attempt the document is not claimed but reaped as an error', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: 1, maxAttempts: 2 });
      await queue.enqueue([{ text: 'poison' }]);
      await queue.claim({ limit: 1 });
      await sleep(5);
      const last = await claimOne(queue);
      assert.equal(last.attempt, 2);
      await sleep(5);
      assert.deepEqual(await queue.claim({ limit: 1 }), []);
      assert.equal(await queue.reap(), 1);
      assert.equal(await queue.reap(), 0);
      const { status, error } = await showOne(queue, last);
      assert.equal(status, 'error');
      assert.match(error ?? '', /^attempts_exhausted: all 2 attempts/);
      assert.equal(await queue.complete(last, RECORD), 'lost');
    });

    test('an operator cancels what has not ended; its worker has lost it', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'a' }, { text: 'b' }]);
      const running = await claimOne(queue);
      assert.equal(await queue.cancel(promptIdText(running.id)), true);
      assert.equal(await queue.renew(running), 'lost');
      assert.equal(await queue.complete(running, RECORD), 'lost');
      assert.equal(await queue.cancel(promptIdText(running.id)), false);
      assert.equal(await queue.cancel('nobody'), undefined);
      const [pending] = await queue.list({ status: 'pending', limit: 1 });
      assert.equal(await queue.cancel(pending?.id ?? ''), true);
      assert.deepEqual(await queue.claim({ limit: 1 }), []);
      assert.match((await showOne(queue, running)).error ?? '', /^cancelled: /);
    });

    test('an operator retries what has ended, as a new run', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'a' }]);
      const first = await claimOne(queue);
      assert.equal(await queue.retry(promptIdText(first.id)), false);
      await queue.fail(first, FAILURE);
      assert.equal(await queue.retry(promptIdText(first.id)), true);
      const second = await claimOne(queue);
      assert.notEqual(second.runId, first.runId);
      assert.equal(second.attempt, 1);
      assert.equal(await queue.retry('nobody'), undefined);
    });

    test('documents are added all or none, and an _id only once', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([
        { _id: 'mine', text: 'a' },
        { _id: 7, text: 'b' },
      ]);
      const duplicate = queue.enqueue([{ text: 'c' }, { _id: 'mine', text: 'd' }]);
      await assert.rejects(
        duplicate,
        (error) =>
          error instanceof Text2ImgError && error.code === 'invalid_document' && error.message.includes('mine'),
      );
      assert.deepEqual(await queue.counts(), { pending: 2, processing: 0, stuck: 0, completed: 0, error: 0 });
      assert.deepEqual((await queue.claim({ limit: 2 })).map(({ id }) => promptIdText(id)).toSorted(), ['7', 'mine']);
    });

    test('documents that no worker can draw are handed out all the same, so that they can be failed', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const hostile = [
        {},
        { text: null },
        { text: 5 },
        { text: ['a'] },
        { text: '$set', negative_prompt: '$$ROOT' },
        { text: 'x', priority: 'high' },
      ];
      await queue.enqueue(hostile);
      assert.deepEqual(
        (await queue.claim({ limit: 10 })).map(({ document }) => document),
        hostile,
      );
    });

    test('any order of operations by three workers keeps tokens exclusive and completes a run at most once', async (t) => {
      const place = await create(t);
      const operation = fc.record({
        worker: fc.nat(2),
        kind: fc.constantFrom(
          'claim',
          'renew',
          'complete',
          'fail',
          'release',
          'retryLater',
          'cancel',
          'retry',
          'enqueue',
          'wait',
          'reap',
        ),
      });
      const workers = await Promise.all(
        [8, 8, 1000].map((leaseMs, index) => place.open({ leaseMs, maxAttempts: 3, owner: `w${index}` })),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 40 }), (operations) => playOperations(workers, operations)),
        { numRuns: 25, endOnFailure: true },
      );
    });
  });
}

type Operation = { readonly worker: number; readonly kind: string };

/** Plays the operations and checks what must hold after each. Claims are kept when they are lost: a zombie goes on trying. */
async function playOperations(workers: readonly PromptQueue[], operations: readonly Operation[]): Promise<void> {
  const held: ClaimedPrompt[][] = workers.map(() => []);
  const completedRuns = new Set<string>();
  const tokens = new Set<string>();
  for (const { worker, kind } of operations) {
    const queue = workers[worker] as PromptQueue;
    const mine = held[worker] as ClaimedPrompt[];
    const latest = mine.at(-1);
    if (kind === 'enqueue') await queue.enqueue([{ text: 'x' }]);
    else if (kind === 'reap') await queue.reap();
    else if (kind === 'wait') await sleep(10);
    else if (kind === 'claim') {
      for (const claimed of await queue.claim({ limit: 1 })) {
        assert.ok(!tokens.has(claimed.token), 'a token is given out once');
        assert.ok(!completedRuns.has(claimed.runId), 'a completed run is not claimed again');
        assert.ok(claimed.attempt >= 1 && claimed.attempt <= 3);
        tokens.add(claimed.token);
        mine.push(claimed);
      }
    } else if (latest !== undefined) {
      const id = promptIdText(latest.id);
      if (kind === 'renew') await queue.renew(latest);
      else if (kind === 'release') await queue.release(latest);
      else if (kind === 'retryLater')
        await queue.retryLater(latest, { delayMs: 1, failure: { code: 'store_failed', message: 'x.' } });
      else if (kind === 'fail') await queue.fail(latest, FAILURE);
      else if (kind === 'cancel') await queue.cancel(id);
      else if (kind === 'retry') await queue.retry(id);
      else if ((await queue.complete(latest, RECORD)) === 'done') completedRuns.add(latest.runId);
    }
  }
}
