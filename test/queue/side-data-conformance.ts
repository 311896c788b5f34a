/** What every queue must do with side data: what servers and workers tell one another. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PromptQueue } from '../../src/queue/prompt-queue.ts';
import type { SideData, WorkerRecord } from '../../src/queue/side-data.ts';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LONG_MS = 60_000;
const ROUNDS = 200;
const HOSTILE = ['$x', '.', '', '/', '%', 'a/b', '\u0000', '\ud800', '__proto__', 'ü'.repeat(300)] as const;

const WORKER: WorkerRecord = {
  id: 'host:1',
  host: 'host',
  pid: 1,
  version: '0.2.0',
  device: 'cpu',
  models: ['sd', '$turbo'],
  takesUnnamed: true,
  images5min: 3,
  seconds5min: 12.5,
  at: new Date(0),
};

export function sideDataConformance(name: string, create: QueueFactory): void {
  suite(`${name} keeps side data`, () => {
    const open = async (
      t: Parameters<QueueFactory>[0],
      count = 2,
    ): Promise<readonly [SideData, SideData, ...SideData[]]> => {
      const place = await create(t);
      const queues = await Promise.all(Array.from({ length: count }, () => place.open({ leaseMs: LONG_MS })));
      return queues.map(({ sideData }) => sideData) as [SideData, SideData, ...SideData[]];
    };

    test('a request is recorded once; whoever comes again finds the first record', async (t) => {
      const [one, two] = await open(t);
      assert.equal(await one.canWrite(), true);
      const first = await one.requests.begin({ id: '$k', bodyHash: 'h1', promptIds: ['$a', 'b'] });
      const record = { id: '$k', bodyHash: 'h1', promptIds: ['$a', 'b'] };
      assert.deepEqual(first, { ...record, isAdded: false, isNew: true });
      const again = await two.requests.begin({ id: '$k', bodyHash: 'h2', promptIds: ['c'] });
      assert.deepEqual(again, { ...record, isAdded: false, isNew: false });
      await one.requests.added('$k');
      assert.deepEqual((await two.requests.begin({ ...record, promptIds: [] })).isAdded, true);
      assert.equal((await two.requests.begin({ ...record, id: 'other' })).isNew, true);
    });

    test(`two servers that begin the same request at once agree on one record, in ${ROUNDS} rounds`, async (t) => {
      const fronts = await open(t, 3);
      for (let round = 0; round < ROUNDS; round++) {
        const records = await Promise.all(
          fronts.map(({ requests }, index) =>
            requests.begin({ id: `k${round}`, bodyHash: 'h', promptIds: [`${round}.${index}`] }),
          ),
        );
        assert.equal(records.filter(({ isNew }) => isNew).length, 1, `round ${round}`);
        assert.equal(new Set(records.map(({ promptIds }) => promptIds[0])).size, 1, `round ${round}`);
      }
    });

    test('servers that serve one request at once, some of which die in between, add its documents once, in 100 rounds', async (t) => {
      const place = await create(t);
      const fronts = await Promise.all(Array.from({ length: 3 }, () => place.open({ leaseMs: LONG_MS })));
      const [front] = fronts as [PromptQueue];
      const serveOnce = async (queue: PromptQueue, id: string, { steps }: { readonly steps: number }) => {
        const promptIds = [0, 1].map(() => randomBytes(12).toString('hex'));
        const record = await queue.sideData.requests.begin({ id, bodyHash: 'h', promptIds });
        if (steps > 1 && !record.isAdded) {
          const documents = record.promptIds.map((hex) => ({ _id: { $oid: hex }, text: 'x' }));
          await queue.enqueue(documents, { enqueueId: id });
        }
        if (steps > 2) await queue.sideData.requests.added(id);
        return { chosen: promptIds, record };
      };
      for (let round = 0; round < 100; round++) {
        const id = `r${round}`;
        const served = await Promise.all(
          fronts.map((queue) => serveOnce(queue, id, { steps: 1 + Math.floor(Math.random() * 3) })),
        );
        const { record } = await serveOnce(front, id, { steps: 3 });
        assert.ok((await serveOnce(front, id, { steps: 3 })).record.isAdded);
        const found = await front.follow(served.flatMap(({ chosen }) => chosen));
        assert.deepEqual(new Set(found.keys()), new Set(record.promptIds), id);
      }
      assert.equal((await front.counts()).pending, 200);
    });

    test('an orphan is taken once: released ones first, then those that nobody watches, and a watched one never', async (t) => {
      const [one, two] = await open(t);
      assert.equal(await one.orphans.take('k'), undefined);
      for (const promptId of ['watched', 'alone', 'released'])
        await one.orphans.offer({ key: 'k', promptId, door: `of ${promptId}`, isReleased: promptId === 'released' });
      await one.orphans.offer({ key: 'k2', promptId: 'other', door: 'x', isReleased: true });
      await one.watches.mark([{ promptId: 'watched', wantsPreviews: false }]);
      const taken = [await two.orphans.take('k'), await one.orphans.take('k')];
      assert.deepEqual(
        taken,
        ['released', 'alone'].map((promptId) => ({
          promptId,
          door: `of ${promptId}`,
          isReleased: promptId === 'released',
        })),
      );
      assert.equal(await two.orphans.take('k'), 'held');
      for (const promptId of ['released', 'alone']) await one.orphans.withdraw('k', promptId, `of ${promptId}`);
      assert.equal(await two.orphans.take('k'), 'held', 'the watched one');
      await two.orphans.withdraw('k', 'watched');
      assert.equal(await one.orphans.take('k'), undefined);
    });

    test('an orphan whose taker ended before it withdrew it goes to the next', async (t) => {
      const [one, two] = await open(t);
      const orphan = { promptId: 'p', door: 'd', isReleased: true };
      await one.orphans.offer({ key: 'k', ...orphan });
      assert.deepEqual(await one.orphans.take('k', 300), orphan);
      assert.equal(await two.orphans.take('k'), 'held');
      await sleep(600);
      assert.deepEqual(await two.orphans.take('k'), orphan);
      assert.equal(await one.orphans.take('k'), 'held');
    });

    test('an orphan can be released after it was offered, offered again after it was taken, and withdrawn', async (t) => {
      const [one] = await open(t);
      const orphan = { promptId: 'p', door: 'd' };
      await one.orphans.offer({ key: 'k', ...orphan, isReleased: false });
      await one.orphans.offer({ key: 'k', ...orphan, isReleased: true });
      assert.deepEqual(await one.orphans.take('k'), { ...orphan, isReleased: true });
      assert.equal(await one.orphans.take('k'), 'held');
      await one.orphans.offer({ key: 'k', ...orphan, isReleased: false });
      await one.orphans.offer({ key: 'k', ...orphan, door: 'd2', isReleased: true });
      await one.orphans.withdraw('k', 'p', 'd2');
      assert.deepEqual(await one.orphans.take('k'), { ...orphan, isReleased: false });
      await one.orphans.offer({ key: 'k', ...orphan, isReleased: true });
      await one.orphans.offer({ key: 'k', promptId: 'p2', door: 'd', isReleased: true });
      await one.orphans.withdraw('k', 'p');
      assert.deepEqual(await one.orphans.take('k'), { promptId: 'p2', door: 'd', isReleased: true });
      await one.orphans.withdraw('k', 'p2');
      assert.equal(await one.orphans.take('k'), undefined);
    });

    test(`of several takers each orphan goes to one, in ${ROUNDS} rounds`, async (t) => {
      const fronts = await open(t, 3);
      for (let round = 0; round < ROUNDS; round++) {
        const key = `k${round}`;
        for (const promptId of ['a', 'b'])
          await fronts[0].orphans.offer({ key, promptId, door: 'd', isReleased: true });
        const taken = await Promise.all(fronts.map(({ orphans }) => orphans.take(key)));
        const ids = taken.map((orphan) => (typeof orphan === 'object' ? orphan.promptId : '-')).toSorted();
        assert.deepEqual(ids, ['-', 'a', 'b'], `round ${round}`);
      }
    });

    test('a watch mark holds for its time, and a shorter one does not shorten it', async (t) => {
      const [one, two] = await open(t);
      assert.equal(await one.watches.msLeft('p'), 0);
      await one.watches.mark([{ promptId: 'p', wantsPreviews: false }]);
      await two.watches.mark([{ promptId: 'p', wantsPreviews: false }], 1);
      await two.watches.mark([{ promptId: 'short', wantsPreviews: false }], 300);
      const left = await two.watches.msLeft('p');
      assert.ok(left > 1000 && left <= 10_000, String(left));
      assert.deepEqual(new Set((await two.watches.marked(['q', 'p', 'short'])).keys()), new Set(['p', 'short']));
      await sleep(600);
      assert.deepEqual(new Set((await one.watches.marked(['short', 'p', 'p'])).keys()), new Set(['p']));
      assert.deepEqual([await one.watches.msLeft('short'), (await one.watches.marked([])).size], [0, 0]);
    });

    test('previews are wanted while one of a job’s marks says so, whatever the others say; many marks are one call', async (t) => {
      const [one, two] = await open(t);
      const many = Array.from({ length: 600 }, (_, index) => ({
        promptId: `m${index}`,
        wantsPreviews: index % 2 === 0,
      }));
      await one.watches.mark(many);
      await one.watches.mark([]);
      await one.watches.mark([{ promptId: 'p', wantsPreviews: true }]);
      await one.watches.mark([{ promptId: 'short', wantsPreviews: true }], 300);
      await two.watches.mark(['p', 'short', 'q'].map((promptId) => ({ promptId, wantsPreviews: false })));
      const flagsOf = async (ids: readonly string[]) => {
        const marked = await two.watches.marked(ids);
        return ids.map((id) => marked.get(id)?.wantsPreviews);
      };
      assert.deepEqual(await flagsOf(['p', 'q', 'r', 'm0', 'm1', 'm598']), [true, false, undefined, true, false, true]);
      await sleep(600);
      assert.deepEqual(await flagsOf(['p', 'short']), [true, false]);
      assert.equal((await one.watches.marked(many.map(({ promptId }) => promptId))).size, 600);
      await one.watches.mark([{ promptId: 'short', wantsPreviews: true }]);
      assert.deepEqual(await flagsOf(['short']), [true]);
    });

    test('a preview is replaced in place, comes back byte by byte, and is removed', async (t) => {
      const [one, two] = await open(t);
      const png = Uint8Array.from({ length: 60_000 }, (_, index) => index % 256);
      assert.equal(await one.previews.get('p'), undefined);
      await one.previews.put({ promptId: 'p', token: '$t', png: png.subarray(0, 10), step: 1, steps: 20 });
      await one.previews.put({ promptId: 'p', token: '$t', png, step: 2, steps: 20 });
      const found = await two.previews.get('p');
      assert.deepEqual(
        { ...found, png: Buffer.from(found?.png ?? []) },
        {
          promptId: 'p',
          token: '$t',
          png: Buffer.from(png),
          step: 2,
          steps: 20,
        },
      );
      await two.previews.remove('p');
      assert.equal(await one.previews.get('p'), undefined);
      await two.previews.remove('p');
    });

    test('workers live until they leave; their models are known for the day', async (t) => {
      const [one, two] = await open(t);
      assert.deepEqual([await one.workers.living(), await one.workers.modelsOfDay()], [[], []]);
      const sizes = [{ model: 'sd', widthPx: 512, heightPx: 768, numInferenceSteps: 20 }];
      const busy = { ...WORKER, id: 'host:2', models: [], loadedModel: 'xl', step: 3, steps: 20, sizes };
      await one.workers.beat(busy);
      await two.workers.beat({ ...WORKER, images5min: 1 });
      await two.workers.beat(WORKER);
      const living = await one.workers.living();
      assert.deepEqual(
        living.map((worker) => ({ ...worker, at: WORKER.at })),
        [WORKER, busy],
      );
      assert.ok(living.every(({ at }) => Math.abs(at.getTime() - Date.now()) < 60_000));
      assert.deepEqual(await two.workers.modelsOfDay(), ['$turbo', 'sd', 'xl']);
      await two.workers.leave('host:2');
      await two.workers.leave('nobody');
      assert.deepEqual(
        (await one.workers.living()).map(({ id }) => id),
        ['host:1'],
      );
      assert.deepEqual(await one.workers.modelsOfDay(), ['$turbo', 'sd', 'xl']);
      await one.workers.beat(busy);
      assert.equal((await two.workers.living()).length, 2);
    });

    test('requests that wait are found by their caller until they end, and keep how they were stopped', async (t) => {
      const [one, two] = await open(t);
      const request = { id: '$r', promptIds: ['$a', 'b'] };
      const waiting = { ...request, isLeft: false, stop: undefined, elapsedMs: undefined };
      await one.waits.keep('ann', request);
      await one.waits.keep('', { id: 'q', promptIds: [] });
      assert.deepEqual(await two.waits.of('ann'), [waiting]);
      assert.deepEqual(await two.waits.of('an'), []);
      await two.waits.stop('ann', '$r', 'skipped');
      await two.waits.stop('ann', 'q', 'interrupted');
      await one.waits.keep('ann', request, { hasBegun: true });
      await sleep(60);
      await one.waits.keep('ann', request, { hasBegun: true, isLeft: true });
      const [left] = await two.waits.of('ann');
      assert.deepEqual({ ...left, elapsedMs: undefined }, { ...waiting, isLeft: true, stop: 'skipped' });
      assert.ok((left?.elapsedMs ?? 0) >= 40 && (left?.elapsedMs ?? 0) < LONG_MS, `${left?.elapsedMs}`);
      await two.waits.stop('ann', '$r', 'interrupted');
      await two.waits.stop('ann', '$r', 'skipped');
      await one.waits.keep('ann', request);
      const [again] = await two.waits.of('ann');
      assert.deepEqual([again?.stop, again?.isLeft], ['interrupted', false]);
      await one.waits.end('ann', '$r');
      await one.waits.end('ann', '$r');
      await two.waits.stop('ann', '$r', 'skipped');
      assert.deepEqual(await two.waits.of('ann'), []);
      assert.deepEqual(
        (await two.waits.of('')).map(({ id, stop }) => [id, stop]),
        [['q', undefined]],
      );
    });

    test('a request that nobody keeps any more is gone after its time', async (t) => {
      const [one, two] = await open(t);
      await one.waits.keep('ann', { id: 'r', promptIds: ['a'] }, { forMs: 1 });
      await sleep(100);
      assert.deepEqual(await two.waits.of('ann'), []);
    });

    test('a worker that loads its model lives with it; its models are known for the day only when it has loaded one', async (t) => {
      const [one, two] = await open(t);
      await one.workers.beat({ ...WORKER, isLoading: true });
      const [loading] = await two.workers.living();
      assert.deepEqual({ ...loading, at: WORKER.at }, { ...WORKER, isLoading: true });
      assert.deepEqual(await two.workers.modelsOfDay(), []);
      await one.workers.beat(WORKER);
      assert.equal((await two.workers.living())[0]?.isLoading, undefined);
      assert.deepEqual(await two.workers.modelsOfDay(), ['$turbo', 'sd']);
      await one.workers.beat({ ...WORKER, id: 'typo', models: ['typo'], isLoading: true });
      await one.workers.leave('typo');
      assert.deepEqual(await two.workers.modelsOfDay(), ['$turbo', 'sd']);
    });

    test('a setting keeps any JSON value', async (t) => {
      const [one, two] = await open(t);
      assert.equal(await one.settings.get('a'), undefined);
      for (const value of ['$x', 7, null, false, { a: [1, { $set: 2 }] }]) {
        await one.settings.set('a', value);
        assert.deepEqual(await two.settings.get('a'), value);
      }
      assert.equal(await one.settings.get('b'), undefined);
    });

    test('whatever a key is called, it is kept apart from the others', async (t) => {
      const [one] = await open(t);
      for (const key of HOSTILE) {
        await one.settings.set(key, key);
        await one.watches.mark([{ promptId: key, wantsPreviews: false }]);
        await one.orphans.offer({ key, promptId: key, door: key, isReleased: true });
        assert.equal((await one.requests.begin({ id: key, bodyHash: key, promptIds: [key] })).isNew, true, key);
        await one.previews.put({ promptId: key, token: key, png: new Uint8Array(), step: 0, steps: 0 });
        await one.waits.keep(key, { id: key, promptIds: [key] });
      }
      for (const key of HOSTILE) {
        assert.equal(((await one.settings.get(key)) as string).toWellFormed(), key.toWellFormed());
        assert.ok((await one.watches.marked([key])).has(key));
        const orphan = await one.orphans.take(key);
        assert.ok(typeof orphan === 'object');
        assert.equal(orphan.promptId.toWellFormed(), key.toWellFormed());
        await one.orphans.withdraw(key, key);
        assert.equal(await one.orphans.take(key), undefined);
        assert.equal((await one.previews.get(key))?.promptId, key);
        const waits = await one.waits.of(key);
        assert.deepEqual(
          waits.map(({ id }) => id.toWellFormed()),
          [key.toWellFormed()],
        );
      }
    });
  });
}
