/** What every image store must do. A store's test file calls `imageStoreConformance` with a factory. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { suite, test, type TestContext } from 'node:test';
import { allOf } from '../lib/all-of.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { ImageObject, ImageStore, PutOutcome, ReadOptions } from '../../src/storage/image-store.ts';

interface StoreUnderTest {
  readonly store: ImageStore;
  /** The object's bytes, read past the store. */
  read(name: string): Promise<Uint8Array>;
  /** An object that the store did not write. */
  plant(name: string, bytes: Uint8Array): Promise<void>;
}

export type StoreFactory = (t: TestContext) => Promise<StoreUnderTest>;

const NAME = 'generated/a.png';

function makeObject(
  changes: { readonly png?: string; readonly runId?: string; readonly docKey?: string; readonly name?: string } = {},
): ImageObject {
  const { png = 'first', runId = 'run-1', docKey = '{"_id":"a"}', name = NAME } = changes;
  return { name, png: new TextEncoder().encode(png), metadata: { runId, docKey, seed: 5, model: 'demo' } };
}

const always = async (): Promise<boolean> => true;

export function imageStoreConformance(name: string, create: StoreFactory): void {
  suite(`${name} keeps the image store contract`, () => {
    const put = async (store: ImageStore, object: ImageObject, mayReplace = always): Promise<PutOutcome> =>
      (await store.put(object, { mayReplace })).outcome;
    const text = async (place: StoreUnderTest, object = NAME): Promise<string> =>
      new TextDecoder().decode(await place.read(object));

    test('a healthy store passes its check, twice', async (t) => {
      const { store } = await create(t);
      await store.check();
      await store.check();
    });

    test('a new object is created, found with its metadata, and its bytes are what was given', async (t) => {
      const place = await create(t);
      assert.equal(await place.store.find(NAME), undefined);
      const result = await place.store.put(makeObject(), { mayReplace: always });
      assert.equal(result.outcome, 'created');
      assert.equal(await text(place), 'first');
      assert.deepEqual(await place.store.find(NAME), { metadata: makeObject().metadata, url: result.url });
    });

    test('a repetition by the same run adopts what is there, without asking', async (t) => {
      const place = await create(t);
      await put(place.store, makeObject());
      const outcome = await put(place.store, makeObject(), () => assert.fail('it asked'));
      assert.equal(outcome, 'adopted');
      assert.equal(await text(place), 'first');
    });

    test('another run of the same document replaces the object when it may', async (t) => {
      const place = await create(t);
      await put(place.store, makeObject());
      assert.equal(await put(place.store, makeObject({ png: 'second', runId: 'run-2' })), 'replaced');
      assert.equal(await text(place), 'second');
      assert.equal((await place.store.find(NAME))?.metadata?.runId, 'run-2');
      assert.equal(await put(place.store, makeObject({ png: 'first', runId: 'run-3' })), 'replaced');
      assert.equal((await place.store.find(NAME))?.metadata?.runId, 'run-3');
    });

    test('a worker that lost its claim leaves another run’s object as it is', async (t) => {
      const place = await create(t);
      await put(place.store, makeObject());
      assert.equal(
        await put(place.store, makeObject({ png: 'zombie', runId: 'run-0' }), async () => false),
        'superseded',
      );
      assert.equal(await text(place), 'first');
    });

    test('another document’s object, and one that nobody knows, are never overwritten', async (t) => {
      const place = await create(t);
      await put(place.store, makeObject());
      assert.equal(
        await put(place.store, makeObject({ png: 'other', docKey: '{"_id":"b"}', runId: 'run-9' })),
        'foreign',
      );
      assert.equal(await text(place), 'first');
      await place.plant('generated/planted.png', new TextEncoder().encode('planted'));
      assert.equal((await place.store.find('generated/planted.png'))?.metadata, undefined);
      assert.equal(await put(place.store, makeObject({ name: 'generated/planted.png' })), 'foreign');
      assert.equal(await text(place, 'generated/planted.png'), 'planted');
    });

    test('what was adopted keeps its bytes, and is replaced by the document that it belongs to now', async (t) => {
      const place = await create(t);
      const key = (collection: string, id: string): string =>
        `{"database":"d","collection":"${collection}","_id":${id}}`;
      const mine = makeObject({ png: 'second', runId: 'run-2', docKey: key('new', '7') });
      assert.equal(await place.store.adopt(NAME, mine.metadata.docKey), 'absent');
      await put(place.store, makeObject({ docKey: key('old', '7') }));
      assert.equal(await put(place.store, mine), 'foreign');
      assert.equal(await place.store.adopt(NAME, mine.metadata.docKey), 'adopted');
      assert.equal(await text(place), 'first');
      assert.equal((await place.store.find(NAME))?.metadata?.docKey, mine.metadata.docKey);
      assert.equal(await place.store.adopt(NAME, mine.metadata.docKey), 'kept');
      assert.equal(await put(place.store, makeObject({ docKey: key('old', '7'), runId: 'run-3' })), 'foreign');
      assert.equal(await put(place.store, mine), 'replaced');
      assert.equal(await place.store.adopt(NAME, key('new', '"7"')), 'kept', 'a namesake does not need the name');
      await place.plant('generated/planted.png', new TextEncoder().encode('planted'));
      assert.equal(await place.store.adopt('generated/planted.png', mine.metadata.docKey), 'adopted');
      assert.equal(await put(place.store, { ...mine, name: 'generated/planted.png' }), 'replaced');
    });

    test('a foreign object’s owner is told, as far as it is known', async (t) => {
      const place = await create(t);
      await put(place.store, makeObject());
      const result = await place.store.put(makeObject({ docKey: '{"_id":"b"}' }), { mayReplace: always });
      assert.deepEqual([result.outcome, result.owner], ['foreign', '{"_id":"a"}']);
      await place.plant('generated/planted.png', new TextEncoder().encode('planted'));
      const planted = await place.store.put(makeObject({ name: 'generated/planted.png' }), { mayReplace: always });
      assert.deepEqual([planted.outcome, planted.owner], ['foreign', undefined]);
    });

    test('of many that write at once one creates, the others of its run adopt, and the bytes are whole', async (t) => {
      const place = await create(t);
      const outcomes = await Promise.all(Array.from({ length: 8 }, () => put(place.store, makeObject())));
      assert.deepEqual(outcomes.toSorted(), [
        'adopted',
        'adopted',
        'adopted',
        'adopted',
        'adopted',
        'adopted',
        'adopted',
        'created',
      ]);
      assert.equal(await text(place), 'first');
    });

    test('what was stored is read whole, with its metadata and its generation, which a replacement changes', async (t) => {
      const { store } = await create(t);
      assert.equal(await store.read(NAME, { maxBytes: 1000 }), undefined);
      await put(store, makeObject());
      const first = await store.read(NAME, { maxBytes: 1000 });
      assert.ok(first !== undefined);
      assert.equal(new TextDecoder().decode(first.bytes), 'first');
      assert.deepEqual(first.metadata, makeObject().metadata);
      assert.equal((await store.read(NAME, { maxBytes: 1000 }))?.generation, first.generation);
      await put(store, makeObject({ png: 'second', runId: 'run-2' }));
      const second = await store.read(NAME, { maxBytes: 1000 });
      assert.equal(new TextDecoder().decode(second?.bytes), 'second');
      assert.equal(second?.metadata?.runId, 'run-2');
      assert.notEqual(second?.generation, first.generation);
    });

    test('an image that is larger than asked for is refused with both sizes', async (t) => {
      const { store } = await create(t);
      await put(store, makeObject({ png: 'x'.repeat(5000) }));
      assert.equal((await store.read(NAME, { maxBytes: 5000 }))?.bytes.length, 5000);
      await assert.rejects(store.read(NAME, { maxBytes: 4999 }), (error) => {
        assert.ok(error instanceof Text2ImgError && error.code === 'image_too_large', String(error));
        assert.match(error.message, /generated\/a\.png.* has 5000 bytes; .*at most 4999/);
        return true;
      });
    });

    test('another document’s image is not given out as this one’s, and any is where no document is named', async (t) => {
      const place = await create(t);
      await put(place.store, makeObject());
      await place.plant('generated/planted.png', new TextEncoder().encode('planted'));
      const own = await place.store.read(NAME, { maxBytes: 1000, docKey: '{"_id":"a"}' });
      assert.equal(own?.bytes.length, 5);
      for (const [name, docKey] of [
        [NAME, '{"_id":"b"}'],
        ['generated/planted.png', '{"_id":"a"}'],
      ] as const)
        await assert.rejects(
          place.store.read(name, { maxBytes: 1000, docKey }),
          (error) => error instanceof Text2ImgError && error.code === 'foreign_object' && error.message.includes(name),
        );
      const planted = await place.store.read('generated/planted.png', { maxBytes: 1000 });
      assert.equal(new TextDecoder().decode(planted?.bytes), 'planted');
      assert.equal(planted?.metadata, undefined);
    });

    test('a name under which no object can lie is that of no object', async (t) => {
      const { store } = await create(t);
      await put(store, makeObject());
      for (const name of [
        '',
        '.',
        '..',
        '../a.png',
        '../../etc/passwd',
        'generated',
        'generated/../generated/a.png',
        'generated/.meta/a.png.json',
      ])
        assert.equal(await store.read(name, { maxBytes: 1000 }), undefined, name);
    });

    test('an open image has the size, sum, metadata and bytes of what was stored, and any part of them', async (t) => {
      const { store } = await create(t);
      assert.equal(await store.open(NAME, { maxBytes: 1000 }), undefined);
      // More than one piece of any store.
      const png = randomBytes(2_500_000);
      const object = { ...makeObject(), png };
      await put(store, object);
      await using opened = (await store.open(NAME, { maxBytes: 3_000_000 })) ?? assert.fail();
      assert.equal(opened.sizeBytes, png.length);
      assert.ok([undefined, createHash('md5').update(png).digest('base64')].includes(opened.md5));
      assert.deepEqual(opened.metadata, object.metadata);
      assert.equal(opened.generation, (await store.read(NAME, { maxBytes: 3_000_000 }))?.generation);
      assert.ok(Buffer.concat(await allOf(opened.pieces())).equals(png));
      for (const [start, end] of [
        [0, 0],
        [7, 70_000],
        [1_048_575, 1_048_576],
        [1_048_577, png.length - 1],
        [png.length - 1, png.length - 1],
      ] as const) {
        const part = Buffer.concat(await allOf(opened.pieces({ start, end })));
        assert.ok(part.equals(png.subarray(start, end + 1)), `${start} to ${end}: ${part.length} bytes`);
      }
    });

    test('an open image is of one version: another run’s bytes never follow its own', async (t) => {
      const { store } = await create(t);
      const [before, after] = [randomBytes(2_500_000), randomBytes(2_500_000)];
      await put(store, { ...makeObject(), png: before });
      await using opened = (await store.open(NAME, { maxBytes: 3_000_000 })) ?? assert.fail();
      const pieces = opened.pieces();
      const first = (await pieces.next()).value ?? assert.fail();
      await put(store, { ...makeObject({ runId: 'run-2' }), png: after });
      try {
        const all = Buffer.concat([first, ...(await allOf(pieces))]);
        assert.ok(all.equals(before), 'the old version, whole');
      } catch (error) {
        assert.ok(error instanceof Text2ImgError && error.code === 'store_failed', String(error));
      }
    });

    test('what may not be read may not be opened either', async (t) => {
      const place = await create(t);
      await put(place.store, makeObject({ png: 'x'.repeat(5000) }));
      const refusal = (options: ReadOptions): Promise<unknown> =>
        place.store.open(NAME, options).then(
          () => 'opened',
          (error: unknown) => (error instanceof Text2ImgError ? error.code : error),
        );
      assert.equal(await refusal({ maxBytes: 5000, docKey: '{"_id":"a"}' }), 'opened');
      assert.equal(await refusal({ maxBytes: 4999 }), 'image_too_large');
      assert.equal(await refusal({ maxBytes: 5000, docKey: '{"_id":"b"}' }), 'foreign_object');
      const reason = new Error('given up');
      assert.equal(await refusal({ maxBytes: 5000, signal: AbortSignal.abort(reason) }), reason);
      for (const name of ['', '..', '../a.png', 'generated', 'generated/.meta/a.png.json'])
        assert.equal(await place.store.open(name, { maxBytes: 1000 }), undefined, name);
    });

    test('a read that was given up is rejected with the reason', async (t) => {
      const { store } = await create(t);
      await put(store, makeObject());
      const reason = new Error('given up');
      await assert.rejects(store.read(NAME, { maxBytes: 1000, signal: AbortSignal.abort(reason) }), reason);
    });

    test('a document’s object is deleted once, and the name is free again', async (t) => {
      const { store } = await create(t);
      const { docKey } = makeObject().metadata;
      assert.equal(await store.remove(NAME, docKey), 'absent');
      await put(store, makeObject());
      await put(store, makeObject({ name: 'generated/a.2.png' }));
      assert.equal(await store.remove(NAME, docKey), 'removed');
      assert.deepEqual([await store.find(NAME), await store.read(NAME, { maxBytes: 1000 })], [undefined, undefined]);
      assert.notEqual(await store.find('generated/a.2.png'), undefined);
      assert.equal(await store.remove(NAME, docKey), 'absent');
      assert.equal(await put(store, makeObject({ docKey: '{"_id":"b"}', runId: 'run-9' })), 'created');
    });

    test('another document’s object, one that nobody knows, and a name of no object are not deleted', async (t) => {
      const place = await create(t);
      await place.plant('elsewhere/planted.png', new TextEncoder().encode('planted'));
      await put(place.store, makeObject());
      assert.equal(await place.store.remove(NAME, '{"_id":"b"}'), 'foreign');
      assert.equal(await text(place), 'first');
      assert.equal(await place.store.remove('elsewhere/planted.png', '{"_id":"a"}'), 'foreign');
      assert.equal(await text(place, 'elsewhere/planted.png'), 'planted');
      for (const name of ['', '..', '../a.png', 'generated', 'generated/.meta/a.png.json'])
        assert.equal(await place.store.remove(name, '{"_id":"a"}'), 'absent', name);
    });

    test('of many that delete at once none fails, and the object is gone', async (t) => {
      const { store } = await create(t);
      await put(store, makeObject());
      const outcomes = await Promise.all(
        Array.from({ length: 4 }, () => store.remove(NAME, makeObject().metadata.docKey)),
      );
      assert.ok(outcomes.includes('removed'), outcomes.join());
      assert.ok(!outcomes.includes('foreign'), outcomes.join());
      assert.equal(await store.find(NAME), undefined);
    });

    test('a healthy store passes every probe, and a probe is no image', async (t) => {
      const { store } = await create(t);
      await store.probe({ sizeBytes: 100_000 });
      await store.probe({ sizeBytes: 1 });
      assert.equal(await store.find(NAME), undefined);
      assert.equal(await put(store, makeObject()), 'created');
    });

    test('a look and a probe that were aborted before they began throw the signal’s reason', async (t) => {
      const { store } = await create(t);
      const signal = AbortSignal.abort(new Error('stopped'));
      await assert.rejects(store.find(NAME, { signal }), /stopped/);
      await assert.rejects(store.probe({ sizeBytes: 1, signal }), /stopped/);
      await assert.rejects(store.remove(NAME, '{"_id":"a"}', { signal }), /stopped/);
    });

    test('a put that was aborted before it began writes nothing', async (t) => {
      const { store } = await create(t);
      await assert.rejects(store.put(makeObject(), { mayReplace: always, signal: AbortSignal.abort() }));
      assert.equal(await store.find(NAME), undefined);
    });
  });
}
