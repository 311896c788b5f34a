/** What every queue must do with documents that are added: each value is kept exactly as it was given, or nothing is added. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { promptIdText } from '../../src/job/document-id.ts';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LEASE = { leaseMs: 60_000 };

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

export function enqueueConformance(name: string, create: QueueFactory): void {
  suite(`${name} keeps what is added, or refuses it`, () => {
    test('of a document with many and long names of fields the claim has those that are read, and a bounded part of the others', async (t) => {
      const queue = await (await create(t)).open(LEASE);
      const many = Array.from(
        { length: 5000 },
        (_, index) => [`own_${index}_${'ä'.repeat(index % 50)}`, index] as const,
      );
      await queue.enqueue([
        { ...Object.fromEntries(many), ['x'.repeat(100_000)]: 1, seeds: 1, text: 'a cat', seed: 3 },
      ]);
      const [claimed] = await queue.claim({ limit: 1 });
      assert.ok(claimed !== undefined);
      const { document, fieldNames } = claimed;
      assert.deepEqual(document, { text: 'a cat', seed: 3 });
      assert.ok(fieldNames.includes('text') && fieldNames.includes('seed') && fieldNames.includes('own_0_'));
      assert.ok(fieldNames.length < 300 && fieldNames.every((name) => name.length <= 60), String(fieldNames.length));
    });

    test('what no queue can keep is refused with the document’s name and the field, and nothing is added', async (t) => {
      const queue = await (await create(t)).open(LEASE);
      const refused: readonly [object, RegExp][] = [
        [{ mine: { deep: [{ _bsontype: 'Long' }] } }, /"mine" .*_bsontype/],
        [{ _bsontype: 'x' }, /_bsontype/],
        [{ mine: { 'a\0b': 1 } }, /"mine" .*U\+0000/],
        [{ 'a\0b': 1 }, /U\+0000/],
        [{ 'half\ud800': 1 }, /surrogate/],
        [{ mine: ['\ud800'] }, /"mine" .*surrogate/],
        [{ mine: nested(150) }, /"mine" .*deeper than 100/],
        [{ mine: [NaN] }, /"mine" is NaN/],
        [{ mine: { a: -Infinity } }, /"mine" is -Infinity/],
        [{ mine: 5n }, /"mine" is 5/],
        [{ status: 'completed' }, /"status" is "completed"/],
        [{ status: ['pending'] }, /"status" is \["pending"\]/],
        [{ _id: '' }, /"_id" is empty/],
        [{ _id: [1] }, /"_id" is \[1\]/],
        [{ _id: 2 ** 53 }, /"_id" is 9007199254740992/],
        [{ _id: 'a\0b' }, /"_id" .*U\+0000/],
        [{ _id: '\udc00' }, /"_id" .*surrogate/],
      ];
      for (const [fields, pattern] of refused) {
        const adding = queue.enqueue([{ text: 'good' }, { text: 'x', ...fields }], {
          nameOf: (index) => `Line ${index + 7}`,
        });
        await assert.rejects(adding, (error) => {
          assert.ok(error instanceof Text2ImgError);
          assert.equal(error.code, 'invalid_document');
          assert.match(error.message, pattern);
          assert.match(error.message, /^Line 8: .* Nothing was added\.$/);
          return true;
        });
      }
      assert.equal((await queue.counts()).pending, 0);
    });

    test('the document that is there already is named, also one that is given twice, and nothing is added', async (t) => {
      const queue = await (await create(t)).open(LEASE);
      await queue.enqueue([
        { _id: 'there', text: 'x' },
        { _id: 7, text: 'x' },
      ]);
      for (const documents of [
        [{ text: 'a' }, { _id: 'there', text: 'b' }],
        [
          { _id: 'twice', text: 'a' },
          { _id: 'twice', text: 'b' },
        ],
        [{ text: 'a' }, { _id: 7, text: 'b' }],
      ])
        await assert.rejects(
          queue.enqueue(documents),
          /^Text2ImgError: document 2: .*"(?:there|twice|7)".* Nothing was added\.$/,
        );
      assert.equal((await queue.counts()).pending, 2);
    });

    test('an _id that is absent or null is made, an ObjectId may be given as JSON writes it', async (t) => {
      const queue = await (await create(t)).open(LEASE);
      const ids = await queue.enqueue([
        { _id: null, text: 'a' },
        { text: 'b' },
        { _id: { $oid: '65F0C0FFEE65f0c0ffee65f0' }, text: 'c' },
      ]);
      assert.deepEqual(ids[2], { kind: 'object_id', hex: '65f0c0ffee65f0c0ffee65f0' });
      const listed = (await queue.list({ limit: 5 })).map(({ id }) => id);
      assert.deepEqual(listed.toSorted(), ids.map(promptIdText).toSorted());
    });

    test('an _id with a name that begins with $ is refused, at whatever depth, unless it is an ObjectId', async (t) => {
      const queue = await (await create(t)).open(LEASE);
      for (const _id of [
        { $oid: 'zz' },
        { $in: [1] },
        { a: { $b: 1 } },
        { $oid: 'f'.repeat(24), x: 1 },
        { a: [{ $c: 1 }] },
      ])
        await assert.rejects(queue.enqueue([{ _id, text: 'a' }]), {
          code: 'invalid_document',
          message: /begin with "\$"/,
        });
      assert.equal((await queue.counts()).pending, 0);
    });

    test('any JSON that is taken comes back in the prompt’s own fields as it was given', async (t) => {
      const queue = await (await create(t)).open(LEASE);
      await fc.assert(
        fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), async (value) => {
          // A negative zero is written as 0 by JSON itself.
          const given: unknown = JSON.parse(JSON.stringify(value));
          await queue.enqueue([{ text: given, mine: given }]);
          const [claim] = await queue.claim({ limit: 1 });
          assert.ok(claim !== undefined);
          assert.deepEqual(claim.document, { text: given });
          await queue.fail(claim, { code: 'invalid_prompt', message: 'x.' });
        }),
        { numRuns: 60 },
      );
    });

    test('twelve thousand documents are added in one call, in their order', async (t) => {
      const queue = await (await create(t)).open(LEASE);
      const ids = await queue.enqueue(Array.from({ length: 12_000 }, (_, index) => ({ text: `${index}` })));
      assert.equal(new Set(ids.map(promptIdText)).size, 12_000);
      assert.equal((await queue.counts()).pending, 12_000);
      assert.deepEqual(
        (await queue.claim({ limit: 3 })).map(({ document }) => document['text']),
        ['0', '1', '2'],
      );
    });
  });
}
