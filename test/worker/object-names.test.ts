/** Two documents of one plain name, images of another collection, of an earlier run, and images that may not be replaced. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ImageMetadata, ImageStore } from '../../src/storage/image-store.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { hashedName } from '../../src/storage/object-key.ts';
import { makePlace, type Place, show, work } from './place.ts';

const SEVEN = { kind: 'string', value: '7' } as const;
const HASHED = `generated/${hashedName(SEVEN)}`;
const always = { mayReplace: async () => true };

function keyOf(place: Place, id: string, collection = 'prompts'): string {
  return `${JSON.stringify({ database: join(place.folder, 'queue.sqlite'), collection }).slice(0, -1)},"_id":${id}}`;
}

function metadataOf(docKey: string, runId = 'theirs'): ImageMetadata {
  return { runId, docKey, seed: 1, model: 'other' };
}

async function plant(place: Place, name: string, docKey: string): Promise<void> {
  const png = new TextEncoder().encode(`planted ${name}`);
  await new FileImageStore(place.folder).put({ name, png, metadata: metadataOf(docKey) }, always);
}

async function images(place: Place): Promise<string[]> {
  const names = await readdir(join(place.folder, 'generated'));
  return names.filter((name) => name.endsWith('.png')).toSorted();
}

/** A real store that first does something of the test's. */
function storeWith(place: Place, changes: Partial<ImageStore>): ImageStore {
  const real = new FileImageStore(place.folder);
  return {
    description: 'a folder',
    check: (options) => real.check(options),
    find: (name, options) => real.find(name, options),
    put: (object, options) => real.put(object, options),
    probe: (options) => real.probe(options),
    read: (name, options) => real.read(name, options),
    open: (name, options) => real.open(name, options),
    adopt: (name, docKey) => real.adopt(name, docKey),
    remove: (name, docKey, options) => real.remove(name, docKey, options),
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
    ...changes,
  };
}

test('a document whose plain name another one of its collection has goes by its hashed name, with all its images', async (t) => {
  const place = await makePlace(t);
  await plant(place, 'generated/7.2.png', keyOf(place, '{"$numberLong":"7"}'));
  await place.queue.enqueue([{ _id: '7', text: 'x', num_images: 3 }]);
  const { summary } = await work(place);
  assert.equal(summary.completed, 1);
  const { imageUrls = [] } = await show(place, '7');
  assert.deepEqual(
    imageUrls.map((url) => url.slice(url.indexOf('generated/'))),
    [`${HASHED}.png`, `${HASHED}.2.png`, `${HASHED}.3.png`],
  );
  assert.equal((await place.queue.identify('7'))?.objectName, hashedName(SEVEN));
  assert.equal((await images(place)).length, 4);
  // Every later run too, also when the other one is gone.
  await place.queue.retry('7');
  await work(place);
  assert.equal((await images(place)).length, 4);
});

test('a name that is taken between the look and the write: the hashed one is written down before anything is stored under it', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: '7', text: 'x', num_images: 2 }]);
  const puts: string[] = [];
  const real = new FileImageStore(place.folder);
  const store = storeWith(place, {
    put: async (object, options) => {
      if (puts.length === 1) await plant(place, 'generated/7.2.png', keyOf(place, '{"$numberLong":"7"}'));
      const recorded = (await place.queue.identify('7'))?.objectName;
      puts.push(`${object.name.replace(hashedName(SEVEN), 'HASHED')} ${recorded === undefined ? 'plain' : 'named'}`);
      return real.put(object, options);
    },
  });
  assert.equal((await work(place, { store })).summary.completed, 1);
  assert.deepEqual(puts, [
    'generated/7.png plain',
    'generated/7.2.png plain',
    'generated/HASHED.png named',
    'generated/HASHED.2.png named',
  ]);
});

test('a name that a document brings along counts only where it is its hashed one', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  for (const objectName of ['b', '../outside/b', hashedName(SEVEN)]) {
    const [claim] = await place.queue.claim({ limit: 1 });
    assert.ok(claim !== undefined);
    await place.queue.nameObject(claim, objectName);
    await place.queue.release(claim);
    await work(place);
    await place.queue.retry('a');
  }
  assert.deepEqual(await images(place), ['a.png']);
});

test('a document that is lost while it gets its hashed name stores nothing under it', async (t) => {
  const place = await makePlace(t);
  await plant(place, 'generated/7.png', keyOf(place, '{"$numberLong":"7"}'));
  await place.queue.enqueue([{ _id: '7', text: 'x' }]);
  const store = storeWith(place, {
    find: async (name, options) => {
      await place.queue.cancel('7');
      return new FileImageStore(place.folder).find(name, options);
    },
  });
  const { summary } = await work(place, { store });
  assert.deepEqual([summary.lost, summary.completed], [1, 0]);
  assert.deepEqual(await images(place), ['7.png']);
});

test('an image of another collection is neither replaced nor drawn for, until an operator adopts it', async (t) => {
  const place = await makePlace(t);
  await plant(place, 'generated/a.png', keyOf(place, '"a"', 'old'));
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  const { summary, events } = await work(place);
  assert.equal(summary.failed, 1);
  assert.ok(!events.some(({ type }) => type === 'progress'), 'nothing was drawn');
  assert.match((await show(place, 'a')).error ?? '', /^foreign_object: .*"old".*--adopt/);
  const identity = await place.queue.identify('a');
  assert.ok(identity !== undefined);
  assert.equal(await new FileImageStore(place.folder).adopt('generated/a.png', identity.docKey), 'adopted');
  await place.queue.retry('a');
  assert.equal((await work(place)).summary.completed, 1);
  assert.notEqual((await new FileImageStore(place.folder).find('generated/a.png'))?.metadata?.model, 'other');
});

test('an embedded queue whose folder was moved still knows its images', async (t) => {
  const place = await makePlace(t);
  await plant(place, 'generated/a.png', '{"database":"/elsewhere/queue.sqlite","collection":"prompts","_id":"a"}');
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  assert.equal((await work(place)).summary.completed, 1);
});

test('what may not be replaced ends its document at the first attempt, before anything is drawn; others go on', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'held', text: 'x' }]);
  await work(place);
  await place.queue.retry('held');
  await place.queue.enqueue([{ _id: 'free', text: 'x' }]);
  const real = new FileImageStore(place.folder);
  const store = storeWith(place, {
    find: async (name, options) => {
      const found = await real.find(name, options);
      return found === undefined ? undefined : { ...found, refusal: 'it is retained until 2999-01-01' };
    },
  });
  const { summary, events } = await work(place, { store });
  assert.deepEqual([summary.completed, summary.failed], [1, 1]);
  assert.ok(!events.some(({ type, id }) => type === 'progress' && id === 'held'));
  const { error, attempts } = await show(place, 'held');
  assert.match(error ?? '', /^store_refused: .*retained until 2999/);
  assert.equal(attempts, 1);
});

test('images of an earlier run with more of them stay, and are named once', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'b', text: 'x', num_images: 1 }]);
  // As a user would: the same document with fewer images.
  const names = ['generated/b.png', ...[2, 3, 4, 5, 6, 7, 8, 9].map((number) => `generated/b.${number}.png`)];
  for (const name of names) await plant(place, name, keyOf(place, '"b"'));
  await work(place);
  const { warnings = [] } = await show(place, 'b');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /b\.2\.png, .*b\.6\.png and 3 more$/);
  assert.equal((await images(place)).filter((name) => name.startsWith('b.')).length, 9);
});
