/** What the list of every prompt queue must do. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { type DocumentId, promptIdText } from '../../src/job/document-id.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '../../src/errors/error-codes.ts';
import type { ClaimedPrompt, JobStatus, JobSummary, ListedJob, RetrySelection } from '../../src/queue/prompt-queue.ts';
import { anyValue, readOrRefuse } from '../lib/foreign-input.ts';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LONG_MS = 60_000;

export function listConformance(name: string, create: QueueFactory): void {
  suite(`${name} keeps the list’s contract`, () => {
    test('jobs are listed newest first, page by page, each once, whatever is added meanwhile', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue(Array.from({ length: 7 }, (_, index) => ({ text: `${index}` })));
      const pages: string[][] = [];
      for (let after: string | undefined; ; ) {
        const page = await queue.list({ limit: 3, after });
        pages.push(page.map(({ text }) => text));
        await queue.enqueue([{ text: 'newer' }]);
        if (page.length === 0) break;
        after = page.at(-1)?.cursor;
      }
      assert.deepEqual(pages, [['6', '5', '4'], ['3', '2', '1'], ['0'], []]);
      const [newest, second] = await queue.list({ limit: 2 });
      assert.deepEqual([newest?.text, second?.text], ['newer', 'newer']);
      const { cursor, ...summary } = newest as ListedJob;
      assert.deepEqual(summary, await queue.show(summary.id), 'beside its place, what one job shows');
      assert.deepEqual(await queue.list({ limit: 1, after: cursor }), [second]);
    });

    test('a place in the list stays good when its job ends, and a status narrows what comes behind it', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue(Array.from({ length: 5 }, (_, index) => ({ text: `${index}` })));
      const [, second] = await queue.list({ status: 'pending', limit: 2 });
      assert.equal(second?.text, '3');
      for (const { id, text } of await queue.list({ limit: 10 }))
        if (['1', '3'].includes(text)) assert.equal(await queue.cancel(id), true);
      const textsOf = async (status?: JobStatus): Promise<string[]> =>
        (await queue.list({ status, limit: 10, after: second.cursor })).map(({ text }) => text);
      assert.deepEqual(await textsOf('pending'), ['2', '0']);
      assert.deepEqual(await textsOf('error'), ['1']);
      assert.deepEqual(await textsOf(), ['2', '1', '0']);
    });

    test('a page has at most a thousand jobs', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue(Array.from({ length: 1003 }, (_, index) => ({ text: `${index}` })));
      const first = await queue.list({ limit: 1_000_000 });
      const rest = await queue.list({ limit: 1_000_000, after: first.at(-1)?.cursor });
      assert.deepEqual([first.length, rest.map(({ text }) => text)], [1000, ['2', '1', '0']]);
    });

    test('a job shows what was asked for, also when it fails, and who claimed it last and when', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS, owner: 'me' });
      const [id] = await queue.enqueue([
        { text: 'x', width: 100_000, height: '512', negative_prompt: 'y', seed: null, mine: 1, scheduler: ['a'] },
      ]);
      const shown = async () => (await queue.show(promptIdText(id as DocumentId))) as JobSummary;
      const request = { width: 100_000, height: '512', negative_prompt: 'y', scheduler: '["a"]' };
      const { worker, startedAt, ...pending } = await shown();
      assert.deepEqual([pending.request, worker, startedAt], [request, undefined, undefined]);
      const [claimed] = await queue.claim({ limit: 1 });
      assert.deepEqual([(await shown()).worker, (await shown()).startedAt instanceof Date], ['me', true]);
      await queue.fail(claimed as ClaimedPrompt, { code: 'invalid_parameter', message: 'no.' });
      const failed = await shown();
      assert.deepEqual([failed.request, failed.worker, failed.owner], [request, 'me', undefined]);
      assert.ok(
        failed.startedAt !== undefined && failed.finishedAt !== undefined && failed.startedAt <= failed.finishedAt,
      );
      await queue.retry(failed.id);
      const again = await shown();
      assert.deepEqual([again.worker, again.startedAt], [undefined, undefined], 'a new run');
    });

    test('the ended jobs of a status, a code and an age are retried, each once, and no others', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const end = async (code: ErrorCode | undefined): Promise<string> => {
        await queue.enqueue([{ text: 'x' }]);
        const [claimed] = await queue.claim({ limit: 1 });
        assert.ok(claimed !== undefined);
        if (code === undefined)
          await queue.complete(claimed, { imageUrls: ['a'], seed: 1, parameters: {}, warnings: [] });
        else await queue.fail(claimed, { code, message: 'no.' });
        return promptIdText(claimed.id);
      };
      const [old, refused, done] = [await end('store_failed'), await end('store_refused'), await end(undefined)];
      await sleep(1200);
      const young = await end('store_failed');
      const select = { status: 'error', code: 'store_failed' } as const;
      const counts = await Promise.all(
        [select, { ...select, olderThanMs: 1000 }, { status: 'error' }, { status: 'completed' }].map((selection) =>
          queue.countSelected(selection as RetrySelection),
        ),
      );
      assert.deepEqual(counts, [2, 1, 3, 1]);
      const pending = async () => (await queue.list({ status: 'pending', limit: 9 })).map(({ id }) => id).toSorted();
      assert.deepEqual(await pending(), [], 'counting changes nothing');
      assert.deepEqual(await queue.retryAll({ ...select, olderThanMs: 1000 }), { retried: 1, refused: 0 });
      assert.deepEqual(await pending(), [old]);
      assert.equal((await queue.show(old))?.error, undefined);
      assert.deepEqual(await queue.retryAll({ status: 'error' }), { retried: 2, refused: 0 });
      assert.deepEqual(await pending(), [old, refused, young].toSorted());
      assert.deepEqual(await queue.retryAll({ status: 'completed' }), { retried: 1, refused: 0 });
      assert.deepEqual(await pending(), [old, refused, young, done].toSorted());
    });

    test('more jobs than one batch takes are all retried', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue(Array.from({ length: 1201 }, (_, index) => ({ _id: `${index}`, text: 'x' })));
      for (let index = 0; index < 1201; index++) await queue.cancel(`${index}`);
      assert.deepEqual(await queue.retryAll({ status: 'error', code: 'cancelled' }), { retried: 1201, refused: 0 });
      assert.equal((await queue.counts()).pending, 1201);
    });

    test('ids are found by how they begin, at most so many', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const given = ['shop-1', 'shop-2', 'shop-22', 'SHOP-3', '%', '_x', 'ä-1'];
      const own = await queue.enqueue([{ text: 'x' }, ...given.map((_id) => ({ _id, text: 'x' }))]);
      const [first] = own.map(promptIdText) as [string];
      assert.match(first, /^[0-9a-f]{24}$/);
      for (const length of [24, 23, 12])
        assert.deepEqual(await queue.idsWithPrefix(first.slice(0, length), 5), [first]);
      const found = async (prefix: string, limit = 10) => (await queue.idsWithPrefix(prefix, limit)).toSorted();
      assert.deepEqual(await found('shop-'), ['shop-1', 'shop-2', 'shop-22']);
      assert.equal((await found('shop-', 2)).length, 2);
      assert.deepEqual(await found('shop-2'), ['shop-2', 'shop-22']);
      for (const [prefix, ids] of [
        ['%', ['%']],
        ['_', ['_x']],
        ['ä', ['ä-1']],
        ['shop-3', []],
        ['$x', []],
      ] as const)
        assert.deepEqual(await found(prefix), ids);
    });

    test('a cursor that is none of this queue is refused with a sentence that quotes it', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'a' }]);
      const [job] = await queue.list({ limit: 1 });
      const encoded = (content: unknown): string => Buffer.from(JSON.stringify(content)).toString('base64url');
      for (const cursor of [
        '',
        'mine\u001b[2J',
        'bm9uZQ',
        `${job?.cursor}=`,
        'x'.repeat(100_000),
        encoded({}),
        encoded(['other', '5']),
        ...['mongo', 'sqlite'].flatMap((kind) =>
          [[], [7], ['x', 0], ['{"$oid":"zz"}', 0], [null, -1], [null, 1e9], ['9'.repeat(19)], ['-'], ['1', '2']].map(
            (place) => encoded([kind, ...place]),
          ),
        ),
      ])
        await assert.rejects(queue.list({ limit: 1, after: cursor }), (error) => {
          assert.ok(error instanceof Text2ImgError && error.code === 'invalid_cursor', `${cursor}: ${String(error)}`);
          assert.match(error.message, /^The cursor ".*" is not of a list of this queue\. /);
          assert.ok(error.message.length < 400 && !error.message.includes('\u001b'));
          return true;
        });
    });

    test('any forged cursor is read, or refused as the caller’s fault', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await queue.enqueue([{ text: 'a' }]);
      const forged = fc
        .tuple(fc.constantFrom('mongo', 'sqlite', '__proto__'), fc.array(anyValue, { maxLength: 3 }))
        .map(([kind, place]) => Buffer.from(JSON.stringify([kind, ...place])).toString('base64url'));
      await fc.assert(
        fc.asyncProperty(fc.oneof(forged, fc.string({ unit: 'binary' })), async (after) => {
          await readOrRefuse(() => queue.list({ limit: 2, after }), ['usage']);
        }),
        { numRuns: 300 },
      );
    });
  });
}
