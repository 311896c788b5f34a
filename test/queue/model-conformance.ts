/** What every queue must do for workers that claim for some models only, and for tenants that take turns. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { promptIdText } from '../../src/job/document-id.ts';
import type { ClaimedPrompt, ModelSelection, PromptQueue } from '../../src/queue/prompt-queue.ts';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LONG_MS = 60_000;
const SHORT_MS = 400;
const RECORD = { imageUrls: ['file:///x.png'], seed: 7, parameters: {}, warnings: [] };

type Labels = { readonly model?: string; readonly tenant?: string };

async function add(queue: PromptQueue, labels: Labels, ...documents: readonly object[]): Promise<readonly string[]> {
  return (
    await queue.enqueue(
      documents.map((document) => ({ ...document })),
      { labels },
    )
  ).map(promptIdText);
}

function textsOf(claims: readonly ClaimedPrompt[]): readonly unknown[] {
  return claims.map(({ document }) => document['text']);
}

const only = (...named: readonly string[]): ModelSelection => ({ named, takesUnnamed: false });
const withDefault = (...named: readonly string[]): ModelSelection => ({ named, takesUnnamed: true });

export function modelConformance(name: string, create: QueueFactory): void {
  suite(`${name} claims by model and by turns`, () => {
    test('a claim takes the documents of its models only, by priority across them; without models it takes all', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await add(
        queue,
        { model: 'a' },
        { text: 'a1' },
        { text: 'a high', priority: 5 },
        { text: 'a low', priority: -5 },
      );
      await add(queue, { model: 'b' }, { text: 'b1' }, { text: 'b higher', priority: 6 });
      await add(queue, { model: '$c' }, { text: 'c1' });
      await add(queue, {}, { text: 'none' }, { text: 'none high', priority: 5.5 });
      assert.deepEqual(await queue.claim({ limit: 9, models: only('nobody’s') }), []);
      assert.deepEqual(await queue.claim({ limit: 9, models: only() }), []);
      const both = await queue.claim({ limit: 4, models: only('a', 'b') });
      assert.deepEqual(textsOf(both), ['b higher', 'a high', 'a1', 'b1']);
      assert.deepEqual(
        both.map(({ model }) => model),
        ['b', 'a', 'a', 'b'],
      );
      assert.deepEqual(textsOf(await queue.claim({ limit: 9, models: withDefault('$c') })), [
        'none high',
        'c1',
        'none',
      ]);
      assert.deepEqual(textsOf(await queue.claim({ limit: 9 })), ['a low']);
    });

    test('labels in a document itself, of whatever type, are not kept: it names no model and has no tenant', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const values = [7, ['a'], { a: 1 }, null, true, 'a'];
      await queue.enqueue(
        values.map((value, n) => ({ text: `${n}`, job: { model: value, tenant: value, door: value } })),
      );
      assert.deepEqual(await queue.claim({ limit: 9, models: only('a') }), []);
      const claims = await queue.claim({ limit: 9, models: withDefault('a'), fair: true });
      assert.deepEqual(
        claims.map(({ model }) => model),
        values.map(() => undefined),
      );
    });

    test('a lease that ended, a retry and a released document go to workers of their model only', async (t) => {
      const place = await create(t);
      const [dead, other] = [await place.open({ leaseMs: SHORT_MS }), await place.open({ leaseMs: LONG_MS })];
      await add(dead, { model: 'a' }, { text: 'a' });
      const [claimed] = await dead.claim({ limit: 1, models: only('a') });
      assert.ok(claimed !== undefined);
      await sleep(SHORT_MS * 1.5);
      assert.deepEqual(await other.claim({ limit: 1, models: withDefault('b') }), []);
      assert.equal(await other.msUntilNextDue({ models: withDefault('b') }), undefined);
      assert.equal(await other.msUntilNextDue({ models: only('a') }), 0);
      const [again] = await other.claim({ limit: 1, models: only('a', 'b') });
      assert.deepEqual([again?.runId, again?.attempt], [claimed.runId, 2]);
      await other.release(again as ClaimedPrompt);
      assert.deepEqual(await other.claim({ limit: 1, models: withDefault() }), []);
      assert.equal((await other.claim({ limit: 1, models: only('a') })).length, 1);
    });

    test('a drain is over when nothing of its models is left, and the rest is counted', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await add(queue, { model: 'a' }, { text: 'a' });
      await add(queue, {}, { text: 'x' }, { text: 'y' });
      const state = (models?: ModelSelection) => queue.drainState({ models });
      const left = { refused: 0, stuck: 0 };
      assert.deepEqual(await state(only('b')), { isDrained: true, ...left, others: 3 });
      assert.equal((await state(only('a'))).isDrained, false);
      assert.equal((await state(withDefault('b'))).isDrained, false);
      const [claimed] = await queue.claim({ limit: 1, models: only('a') });
      assert.equal((await state(only('a'))).isDrained, false, 'it is being generated');
      assert.deepEqual(await state(only('b')), { isDrained: true, ...left, others: 2 });
      await queue.complete(claimed as ClaimedPrompt, RECORD);
      assert.deepEqual(await state(only('a')), { isDrained: true, ...left, others: 2 });
      assert.equal((await state()).isDrained, false);
    });

    test('a document for a model that no living worker has is told with both names, briefly; without a living worker any model may come', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const long = 'x'.repeat(5000);
      await add(queue, { model: 'a' }, { _id: 'served', text: 'x' });
      await add(queue, { model: '$gone"' }, { _id: 'waits', text: 'x' });
      await add(queue, { model: long }, { _id: long, text: 'x' });
      await add(queue, {}, { _id: 'unnamed', text: 'x' });
      assert.deepEqual(await queue.stuck(), []);
      const [waits, bounded, ...none] = await queue.stuck(withDefault('a'));
      assert.equal(waits, 'waits is for the model "$gone\\"", which no living worker has');
      assert.match(bounded ?? '', /^x+….* is for the model "x+…/);
      assert.ok((bounded ?? '').length < 300);
      assert.deepEqual(none, []);
      const told = await queue.stuck(only('a', '$gone"', long));
      assert.deepEqual(told, ['unnamed names no model, and no living worker generates such prompts']);
      await add(queue, { model: 'b' }, ...Array.from({ length: 30 }, () => ({ text: 'x' })));
      assert.equal((await queue.stuck(withDefault('a'))).length, 20);
    });

    test('by turns each tenant gives one document, in the order of their names, whatever the others have waiting', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const models = withDefault('a');
      await add(
        queue,
        { model: 'a', tenant: 'anna' },
        ...Array.from({ length: 20 }, (_, index) => ({ text: `anna ${index}`, priority: 9 })),
      );
      await add(queue, { tenant: 'ben' }, { text: 'ben 0' }, { text: 'ben 1' });
      await add(queue, { model: 'a' }, { text: 'null 0' }, { text: 'null 1' });
      await add(queue, { model: 'other', tenant: 'carl' }, { text: 'carl 0' });
      const claims = await queue.claim({ limit: 9, models, fair: true });
      const tenants = textsOf(claims).map((text) => String(text).split(' ')[0] ?? '');
      const first = ['anna', 'ben', 'null'].indexOf(tenants[0] ?? '');
      assert.ok(first >= 0);
      // Each of the three has its turn in the first three and in the next three, in one order; then only anna has more.
      assert.deepEqual(tenants.slice(0, 3).toSorted(), ['anna', 'ben', 'null']);
      assert.deepEqual(tenants.slice(3, 6), tenants.slice(0, 3));
      assert.deepEqual(tenants.slice(6), ['anna', 'anna', 'anna']);
      const ofAnna = textsOf(claims).filter((text) => String(text).startsWith('anna'));
      assert.deepEqual(ofAnna, ['anna 0', 'anna 1', 'anna 2', 'anna 3', 'anna 4']);
    });

    test('turns go on from claim to claim, and a tenant that comes later waits for one round at most', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const models = only('m');
      const many = (text: string) => Array.from({ length: 30 }, () => ({ text }));
      for (const tenant of ['a', 'b', 'c']) await add(queue, { model: 'm', tenant }, ...many(tenant));
      const claimOne = async () => textsOf(await queue.claim({ limit: 1, models, fair: true }))[0];
      const six: unknown[] = [];
      for (let turn = 0; turn < 6; turn++) six.push(await claimOne());
      assert.deepEqual(six.slice(3), six.slice(0, 3));
      assert.deepEqual(new Set(six), new Set(['a', 'b', 'c']));
      await add(queue, { model: 'm', tenant: 'bb' }, { text: 'bb', priority: -9 });
      const next: unknown[] = [];
      for (let turn = 0; turn < 4; turn++) next.push(await claimOne());
      assert.deepEqual(new Set(next), new Set(['a', 'b', 'bb', 'c']));
    });

    test('within a turn the tenant’s own priorities order its documents across models', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      await add(queue, { model: 'a', tenant: 't' }, { text: 'low', priority: -1 }, { text: 'zero' });
      await add(queue, { model: 'b', tenant: 't' }, { text: 'high', priority: 3 }, { text: 'also zero', priority: 0 });
      const claims = await queue.claim({ limit: 9, models: only('a', 'b'), fair: true });
      assert.deepEqual(textsOf(claims), ['high', 'zero', 'also zero', 'low']);
    });

    test('any documents are claimed once each, and those of the selection only, by turns or not, by several workers', async (t) => {
      const place = await create(t);
      const workers = await Promise.all([0, 1].map((index) => place.open({ leaseMs: LONG_MS, owner: `w${index}` })));
      const [queue] = workers as [PromptQueue];
      const document = fc.record({
        model: fc.constantFrom('a', 'b', 'c', undefined),
        tenant: fc.constantFrom('x', 'y', '', undefined),
        priority: fc.constantFrom(undefined, 0, 5, -5, 'junk', null),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(document, { minLength: 1, maxLength: 12 }),
          fc.subarray(['a', 'b', 'c']),
          fc.boolean(),
          fc.boolean(),
          async (documents, named, takesUnnamed, fair) => {
            const wanted: string[] = [];
            const all: string[] = [];
            for (const { model, tenant, priority } of documents) {
              const [id = ''] = await add(
                queue,
                { ...(model && { model }), ...(tenant !== undefined && { tenant }) },
                { text: 'x', ...(priority !== undefined && { priority }) },
              );
              all.push(id);
              if (model === undefined ? takesUnnamed : named.includes(model)) wanted.push(id);
            }
            const taken: string[] = [];
            for (let idle = 0; idle < 3; ) {
              const claims = await Promise.all(
                workers.map((one) => one.claim({ limit: 3, models: { named, takesUnnamed }, fair })),
              );
              taken.push(...claims.flat().map(({ id }) => promptIdText(id)));
              idle = claims.flat().length === 0 ? idle + 1 : 0;
            }
            assert.deepEqual(taken.toSorted(), wanted.toSorted());
            for (const id of all) await queue.cancel(id);
          },
        ),
        { numRuns: 25 },
      );
    });
  });
}
