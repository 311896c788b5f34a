/** What every prompt queue must do for servers: labels, repeated adding, doors, following, places and depths. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promptIdText } from '../../src/job/document-id.ts';
import type { ClaimedPrompt, PageOptions, PromptQueue } from '../../src/queue/prompt-queue.ts';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LONG_MS = 60_000;
const RECORD = { imageUrls: ['file:///x.png'], seed: 7, parameters: {}, warnings: [] };

function newId(): { readonly $oid: string } {
  return { $oid: randomBytes(12).toString('hex') };
}

async function claimOne(queue: PromptQueue): Promise<ClaimedPrompt> {
  const [claimed] = await queue.claim({ limit: 1 });
  assert.ok(claimed !== undefined, 'there is something to claim');
  return claimed;
}

async function add(
  queue: PromptQueue,
  ...[document, options]: [object?, Parameters<PromptQueue['enqueue']>[1]?]
): Promise<string> {
  const [id] = await queue.enqueue([{ text: 'x', ...document }], options);
  assert.ok(id !== undefined);
  return promptIdText(id);
}

export function serveConformance(name: string, create: QueueFactory): void {
  suite(`${name} serves servers`, () => {
    test('documents of one call may be for different models', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const models = ['sd/one', undefined, 'sd/two'];
      const documents = models.map(() => ({ text: 'a' }));
      const ids = await queue.enqueue(documents, { labels: { door: 'd' }, modelOf: (index) => models[index] });
      const jobs = await Promise.all(ids.map((id) => queue.show(promptIdText(id))));
      assert.deepEqual(
        jobs.map((job) => [job?.model, job?.door]),
        models.map((model) => [model, 'd']),
      );
    });

    test('labels are shown, also after the end; the claim knows the model; a job in the document itself is not kept', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const labels = { model: 'sd/turbo', tenant: '$anna', door: 'req-1' };
      const id = await add(queue, { job: { model: 'mine', door: 'mine' } }, { labels });
      const plain = await add(queue, { job: { tenant: 'mine' } });
      const labelsOf = async (one: string) => {
        const { model, tenant, door } = (await queue.show(one)) ?? {};
        return { model, tenant, door };
      };
      assert.deepEqual(await labelsOf(id), labels);
      assert.deepEqual(await labelsOf(plain), { model: undefined, tenant: undefined, door: undefined });
      const claims = await queue.claim({ limit: 2 });
      assert.deepEqual(
        claims.map(({ model }) => model),
        ['sd/turbo', undefined],
      );
      await queue.complete(claims[0] as ClaimedPrompt, RECORD);
      assert.deepEqual(await labelsOf(id), labels);
      await queue.retry(id);
      assert.deepEqual(await labelsOf(id), labels);
    });

    test('adding again under the same name adds what is missing and nothing twice, whatever became of the others', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const documents = Array.from({ length: 4 }, (_, index) => ({ _id: newId(), text: `${index}` }));
      const enqueueId = 'e1';
      const first = await queue.enqueue(documents.slice(0, 2), { enqueueId });
      await queue.complete(await claimOne(queue), RECORD);
      const all = await queue.enqueue(documents, { enqueueId });
      assert.deepEqual(all.slice(0, 2), first);
      assert.deepEqual(
        all.map(promptIdText),
        documents.map(({ _id }) => _id.$oid),
      );
      const { pending, completed } = await queue.counts();
      assert.deepEqual([pending, completed], [3, 1]);
    });

    test('a document that another call added is refused, and one without _id, which could not be repeated', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const _id = newId();
      await queue.enqueue([{ _id, text: 'x' }], { enqueueId: 'e1' });
      for (const options of [{ enqueueId: 'e2' }, {}])
        await assert.rejects(queue.enqueue([{ _id, text: 'y' }], options), {
          code: 'invalid_document',
          message: new RegExp(`^document 1: .*${_id.$oid}`),
        });
      await assert.rejects(queue.enqueue([{ text: 'y' }], { enqueueId: 'e1' }), { code: 'invalid_document' });
      assert.equal((await queue.show(_id.$oid))?.text, 'x');
    });

    test('many calls under the same name at once add each document once and delete none, in 200 rounds', async (t) => {
      const place = await create(t);
      const fronts = await Promise.all(Array.from({ length: 3 }, () => place.open({ leaseMs: LONG_MS })));
      const [front] = fronts as [PromptQueue];
      for (let round = 0; round < 200; round++) {
        const documents = Array.from({ length: 3 }, (_, index) => ({ _id: newId(), text: `${round}.${index}` }));
        const options = { enqueueId: `r${round}`, labels: { door: `d${round}` } };
        const all = await Promise.all(fronts.map((queue) => queue.enqueue(documents, options)));
        assert.ok(all.every((ids) => ids.length === 3));
        const found = await front.follow(documents.map(({ _id }) => _id.$oid));
        assert.deepEqual(
          [...found.values()].map(({ text }) => text),
          documents.map(({ text }) => text),
        );
      }
      assert.equal((await front.counts()).pending, 600);
    });

    test('a request cancels its own job only, with its own sentence', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const id = await add(queue, {}, { labels: { door: 'd1' } });
      assert.equal(await queue.cancel(id, { door: 'd2' }), false);
      assert.equal(await queue.cancel(await add(queue), { door: 'd2' }), false, 'without a door');
      assert.equal(await queue.cancel('none', { door: 'd2' }), undefined);
      assert.equal(await queue.cancel(id, { door: 'd1', message: '$set: the client is gone.' }), true);
      assert.equal((await queue.show(id))?.error, 'cancelled: $set: the client is gone.');
      assert.equal(await queue.cancel(id, { door: 'd1' }), false, 'it has ended');
    });

    test('an adopted job is cancelled by its new door only; it is adopted once, and not after its end', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const id = await add(queue, {}, { labels: { door: 'd1' } });
      assert.equal(await queue.adopt(id, { from: 'other', to: 'd2' }), false);
      const claimed = await claimOne(queue);
      assert.equal(await queue.adopt(id, { from: 'd1', to: '$d2' }), true);
      assert.equal(await queue.adopt(id, { from: 'd1', to: '$d2' }), true, 'a repetition after a lost answer');
      assert.equal(await queue.adopt(id, { from: 'd1', to: 'd3' }), false);
      assert.equal(await queue.cancel(id, { door: 'd1' }), false);
      assert.equal((await queue.show(id))?.door, '$d2');
      assert.equal(await queue.complete(claimed, RECORD), 'done', 'its worker has not lost it');
      assert.equal(await queue.adopt(id, { from: '$d2', to: 'd4' }), false);
      assert.equal(await queue.adopt('none', { from: 'd1', to: 'd2' }), false);
    });

    test('of a late cancel and an adoption exactly one takes effect, in 200 rounds', async (t) => {
      const place = await create(t);
      const [old, next] = [await place.open({ leaseMs: LONG_MS }), await place.open({ leaseMs: LONG_MS })];
      const seen = new Set<boolean>();
      for (let round = 0; round < 200; round++) {
        const id = await add(old, {}, { labels: { door: 'd1' } });
        const [cancelled, adopted] = await Promise.all(
          round % 2 === 0
            ? [old.cancel(id, { door: 'd1' }), next.adopt(id, { from: 'd1', to: 'd2' })]
            : [next.adopt(id, { from: 'd1', to: 'd2' }), old.cancel(id, { door: 'd1' })].toReversed(),
        );
        assert.notEqual(cancelled, adopted, `round ${round}`);
        assert.equal((await old.show(id))?.status, adopted === true ? 'pending' : 'error');
        seen.add(adopted === true);
      }
      assert.ok(seen.size > 0);
    });

    test('many jobs are followed in one read, under the ids that were asked', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const ids = (await queue.enqueue(Array.from({ length: 2500 }, (_, index) => ({ text: `${index}` })))).map(
        promptIdText,
      );
      const claimed = await claimOne(queue);
      await queue.renew(claimed, { step: 3, steps: 20 });
      const done = await claimOne(queue);
      await queue.complete(done, RECORD);
      await queue.cancel(ids[5] as string);
      const found = await queue.follow([...ids, 'none', '', '{', '7']);
      assert.equal(found.size, 2500);
      assert.deepEqual([...found.keys()], ids);
      const of = (id: string) => {
        const { status, ended, progress, imageUrls } = found.get(id) ?? {};
        return { status, ended, progress, imageUrls };
      };
      const progress = { step: 3, steps: 20 };
      assert.deepEqual(of(promptIdText(claimed.id)), {
        status: 'processing',
        ended: false,
        progress,
        imageUrls: undefined,
      });
      assert.deepEqual(of(promptIdText(done.id)), {
        status: 'completed',
        ended: true,
        progress: undefined,
        imageUrls: RECORD.imageUrls,
      });
      assert.deepEqual([of(ids[5] as string).ended, of(ids[6] as string).ended], [true, false]);
      assert.equal((await queue.follow([])).size, 0);
    });

    test('an ended job is removed with what it owes, another is not', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const [id, open] = [await add(queue), await add(queue)];
      const claimed = await claimOne(queue);
      assert.equal(await queue.remove(id), false);
      await queue.fail(claimed, { code: 'invalid_prompt', message: 'x.' }, { id: 'msg_1', body: '{}' });
      assert.equal((await queue.outbox.counts()).pending, 1);
      assert.equal(await queue.remove(id), true);
      assert.equal(await queue.remove(id), undefined);
      assert.equal(await queue.remove(open), false);
      assert.deepEqual([await queue.show(id), (await queue.outbox.counts()).pending], [undefined, 0]);
    });

    test('the place in the queue is what a claim takes before, in any mix of priorities, up to a limit', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const priorities = [undefined, 5, -5, 0, 2.5, -1, undefined, 5, -5, 0, 1e300, -1];
      const ids = (
        await queue.enqueue(
          priorities.map((priority) => ({ text: 'x', ...(priority === undefined ? {} : { priority }) })),
        )
      ).map(promptIdText);
      const places = await Promise.all(ids.map((id) => queue.placeInQueue(id, { most: 1000 })));
      const capped = await Promise.all(ids.map((id) => queue.placeInQueue(id, { most: 4 })));
      const order = (await queue.claim({ limit: 12 })).map(({ id }) => promptIdText(id));
      for (const [index, id] of ids.entries()) {
        const ahead = order.indexOf(id);
        assert.deepEqual(places[index], { ahead, isCapped: false }, `priority ${priorities[index]}`);
        assert.deepEqual(capped[index], { ahead: Math.min(4, ahead), isCapped: ahead >= 4 });
      }
      assert.equal(await queue.placeInQueue(ids[0] as string, { most: 10 }), undefined, 'it is processing');
      assert.equal(await queue.placeInQueue('none', { most: 10 }), undefined);
    });

    test('depths are those of the queue or of a tenant, up to a limit', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      for (const [tenant, count] of [
        ['anna', 5],
        ['ben', 3],
        [undefined, 2],
      ] as const)
        await queue.enqueue(
          Array.from({ length: count }, () => ({ text: 'x' })),
          { labels: { tenant } },
        );
      const claims = await queue.claim({ limit: 4 });
      await queue.complete(claims[0] as ClaimedPrompt, RECORD);
      const depths = async (most: number) =>
        Promise.all(
          [undefined, 'anna', 'ben', 'nobody'].flatMap((tenant) =>
            (['pending', 'open'] as const).map((status) => queue.depth({ tenant, status, most })),
          ),
        );
      assert.deepEqual(await depths(100), [6, 9, 1, 4, 3, 3, 0, 0]);
      assert.deepEqual(await depths(2), [2, 2, 1, 2, 2, 2, 0, 0]);
    });

    test('the age of the oldest pending job grows, whatever its priority, and there is none without one', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      assert.equal(await queue.oldestPendingMs(), undefined);
      await queue.enqueue([{ text: 'old', priority: -3 }]);
      await sleep(2100);
      await queue.enqueue([
        { text: 'x' },
        { text: 'y', priority: 7 },
        { text: 'z', priority: 7 },
        { text: 'w', priority: 3 },
      ]);
      const age = await queue.oldestPendingMs();
      assert.ok(age !== undefined && age >= 2000 && age < 600_000, String(age));
      const claims = await queue.claim({ limit: 5 });
      assert.equal(claims.at(-1)?.document['text'], 'old');
      assert.equal(await queue.oldestPendingMs(), undefined);
      await queue.release(claims[0] as ClaimedPrompt);
      const younger = await queue.oldestPendingMs();
      assert.ok(younger !== undefined && younger < age, `${younger} of ${age}`);
    });

    test('a list is one tenant’s, or those of a model, page by page; null are those without a tenant', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const added: Record<string, string[]> = { anna: [], ben: [], null: [] };
      for (let index = 0; index < 30; index++) {
        const tenant = index % 3 === 0 ? 'anna' : index % 3 === 1 ? 'ben' : undefined;
        const model = index % 2 === 0 ? 'even' : undefined;
        added[String(tenant ?? null)]?.push(await add(queue, {}, { labels: { tenant, model } }));
      }
      const pages = async (options: object): Promise<string[]> => {
        const ids: string[] = [];
        let after: string | undefined;
        do {
          const page = await queue.listPage({ limit: 3, withinMs: 5000, after, ...options });
          ids.push(...page.jobs.map(({ id }) => id));
          after = page.next;
        } while (after !== undefined);
        return ids;
      };
      for (const [tenant, ids] of [
        ['anna', added['anna']],
        [null, added['null']],
      ] as const) {
        assert.deepEqual(await pages({ tenant }), ids?.toReversed());
        assert.deepEqual(
          (await queue.list({ limit: 100, tenant })).map(({ id }) => id),
          ids?.toReversed(),
        );
      }
      const even = await pages({ tenant: 'ben', model: 'even' });
      assert.deepEqual(even, added['ben']?.filter((_, index) => index % 2 === 1).toReversed());
      await queue.cancel(even[0] as string);
      assert.deepEqual(await pages({ tenant: 'ben', status: 'error' }), [even[0]]);
      assert.deepEqual(await pages({ tenant: 'nobody' }), []);
      assert.equal((await pages({})).length, 30);
    });

    test('rare jobs are found page by page within any time, each once; a page without jobs says where to go on', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const documents = Array.from({ length: 5000 }, (_, index) => ({
        _id: `${String(index).padStart(5, '0')}`,
        text: 'x',
      }));
      await queue.enqueue([{ _id: '000000', text: 'nobody’s' }]);
      await queue.enqueue(documents, { labels: { tenant: 'anna' } });
      await queue.enqueue([{ text: 'y' }], { labels: { tenant: 'ben' } });
      const rare = ['00003', '00004', '02500', '04999'];
      for (const id of rare) await queue.cancel(id);
      const pagesOf = async (options: Partial<PageOptions>): Promise<readonly string[][]> => {
        const pages: string[][] = [];
        let after: string | undefined;
        do {
          const page = await queue.listPage({ limit: 3, withinMs: 0, after, ...options });
          pages.push(page.jobs.map(({ id }) => id));
          after = page.next;
        } while (after !== undefined);
        return pages;
      };
      assert.deepEqual((await pagesOf({ tenant: null })).flat(), ['000000']);
      for (const options of [{}, { tenant: 'anna' }]) {
        const pages = await pagesOf({ status: 'error', ...options });
        assert.deepEqual(pages.flat(), rare.toReversed());
        assert.ok(pages.length >= 5 && pages.length < 50, `${pages.length} pages`);
        assert.ok(
          pages.slice(0, -1).some((jobs) => jobs.length === 0),
          'some have none',
        );
        const whole = await queue.listPage({ status: 'error', limit: 100, withinMs: 60_000, ...options });
        assert.deepEqual([whole.jobs.map(({ id }) => id), whole.next], [rare.toReversed(), undefined]);
      }
      await assert.rejects(queue.listPage({ limit: 3, withinMs: 0, after: 'mine' }), { code: 'invalid_cursor' });
    });

    test('a watch of changes ends at the signal, and tells of each end of a job where the queue can', async (t) => {
      const place = await create(t);
      const [queue, other] = [await place.open({ leaseMs: LONG_MS }), await place.open({ leaseMs: LONG_MS })];
      const stop = new AbortController();
      const told = new Set<string>();
      const opened = Promise.withResolvers<boolean>();
      const watching = queue
        .watchChanges({
          signal: stop.signal,
          onChange: (id) => told.add(id),
          onGap: () => opened.resolve(true),
          onPartial: () => opened.resolve(true),
        })
        .then(() => opened.resolve(false));
      const canTell = await opened.promise;
      const [cancelled, done] = [await add(other), await add(other)];
      await other.cancel(cancelled);
      await other.complete(await claimOne(other), RECORD);
      await other.remove(cancelled);
      const deadlineMs = performance.now() + 20_000;
      while (canTell && !(told.has(cancelled) && told.has(done)) && performance.now() < deadlineMs) await sleep(20);
      if (canTell) assert.deepEqual([told.has(cancelled), told.has(done)], [true, true]);
      stop.abort();
      await watching;
    });
  });
}
