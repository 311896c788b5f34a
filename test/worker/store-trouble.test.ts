/** A store that refuses is never a document's fault, and what was drawn is kept; a refusal of one image alone is that document's. */
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import type { ImageStore } from '../../src/storage/image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import { makePlace, type Place, QUICK_PATIENCE, show, states, until, watch, work } from './place.ts';

const IDS = ['a', 'b', 'c'];

interface Faults {
  put?: ErrorCode | undefined;
  find?: ErrorCode | undefined;
  /** Objects with more bytes do not fit. */
  roomBytes: number;
  /** The store takes other objects. */
  takesProbes?: boolean;
}

/** A real folder behind faults. */
function faultyStore({ folder }: Place): {
  readonly store: ImageStore;
  readonly faults: Faults;
  readonly probes: number[];
} {
  const real = new FileImageStore(folder, { prefix: DEFAULT_OBJECT_PREFIX });
  const faults: Faults = { roomBytes: Infinity };
  const probes: number[] = [];
  const refuse = (code: ErrorCode | undefined, sizeBytes: number): void => {
    if (code !== undefined) throw new Text2ImgError(code, 'the test wants it so.');
    if (sizeBytes > faults.roomBytes) throw new Text2ImgError('disk_full', 'the test has no room.');
  };
  const store: ImageStore = {
    description: 'faulty',
    check: () => real.check(),
    find: async (name, options) => {
      refuse(faults.find, 0);
      return real.find(name, options);
    },
    put: async (object, options) => {
      refuse(faults.put, object.png.byteLength);
      return real.put(object, options);
    },
    read: (name, options) => real.read(name, options),
    open: (name, options) => real.open(name, options),
    adopt: (name, docKey) => real.adopt(name, docKey),
    remove: (name, docKey, options) => real.remove(name, docKey, options),
    probe: async (options) => {
      probes.push(options.sizeBytes);
      if (faults.takesProbes !== true) refuse(faults.put ?? faults.find, options.sizeBytes);
      return real.probe(options);
    },
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
  };
  return { store, faults, probes };
}

for (const code of ['store_failed', 'store_unwritable', 'disk_full'] as const) {
  test(`while the store answers ${code} nothing is claimed and no attempt counts, and what was drawn is stored without drawing it again`, async (t) => {
    const place = await makePlace(t);
    const { store, faults } = faultyStore(place);
    faults.put = code;
    await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x', num_images: 2 })));
    const worker = watch(place, { store });
    await until(() => worker.trouble() !== undefined);
    assert.deepEqual([worker.trouble()?.source, worker.trouble()?.code], ['store', code]);
    await until(async () => (await states(place, IDS)).every((state) => state === 'pending 0'));
    faults.put = undefined;
    await until(async () => (await place.queue.counts()).completed === 3);
    assert.deepEqual(await states(place, IDS), Array(3).fill('completed 1'));
    assert.deepEqual(IDS.map(worker.drawings), [1, 1, 1]);
    assert.equal(worker.trouble(), undefined);
  });
}

test('a store that cannot be looked into before the drawing is trouble too', async (t) => {
  const place = await makePlace(t);
  const { store, faults } = faultyStore(place);
  faults.find = 'store_failed';
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x' })));
  const worker = watch(place, { store });
  await until(() => worker.trouble() !== undefined);
  faults.find = undefined;
  await until(async () => (await place.queue.counts()).completed === 3);
  assert.deepEqual(await states(place, IDS), Array(3).fill('completed 1'));
});

test('the probe of a full disk is as large as the image that did not fit', async (t) => {
  const place = await makePlace(t);
  const { store, faults, probes } = faultyStore(place);
  faults.roomBytes = 200;
  await place.queue.enqueue([{ _id: 'big', text: 'x', width: 256, height: 256 }]);
  const worker = watch(place, { store });
  await until(() => worker.trouble() !== undefined && probes.length > 2);
  assert.ok(
    probes.every((sizeBytes) => sizeBytes > 200),
    probes.join(),
  );
  assert.deepEqual(await states(place, ['big']), ['pending 0']);
  faults.roomBytes = Infinity;
  await until(async () => (await states(place, ['big']))[0] === 'completed 1');
  assert.equal(worker.drawings('big'), 1);
});

test('where the store takes a probe the refusal is this document’s: its attempts count, and it ends with them', async (t) => {
  const place = await makePlace(t);
  const { store, faults } = faultyStore(place);
  faults.put = 'store_failed';
  faults.takesProbes = true;
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  const { summary } = await work(place, { store, maxAttempts: 2, troublePatience: QUICK_PATIENCE });
  assert.deepEqual([summary.failed, summary.retried], [1, 1]);
  assert.match(
    (await show(place, 'a')).error ?? '',
    /^attempts_exhausted: all 2 attempts failed; the last one: store_failed/,
  );
});

test('claims that wait to be generated alone, because their last attempt died, are given back when the store refuses', async (t) => {
  const place = await makePlace(t);
  const { store, faults } = faultyStore(place);
  const path = join(place.folder, 'queue.sqlite');
  await using dead = new SqlitePromptQueue({ path, leaseMs: 1, maxAttempts: 5, owner: 'dead' });
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: '[slow 5]' })));
  await dead.claim({ limit: IDS.length });
  await sleep(5);
  faults.put = 'store_unwritable';
  const worker = watch(place, { store, batchSize: IDS.length });
  await until(() => worker.trouble() !== undefined);
  assert.equal(worker.events.filter(({ type }) => type === 'claimed').length, IDS.length);
  await until(async () => (await states(place, IDS)).every((state) => state === 'pending 1'));
  faults.put = undefined;
  await until(async () => (await place.queue.counts()).completed === IDS.length);
});

test('a final refusal ends the document at its first attempt', async (t) => {
  const place = await makePlace(t);
  const { store, faults } = faultyStore(place);
  faults.put = 'store_refused';
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  await work(place, { store, troublePatience: QUICK_PATIENCE });
  assert.match((await show(place, 'a')).error ?? '', /^store_refused: /);
  assert.deepEqual(await states(place, ['a']), ['error 1']);
});

test('a drain whose store refuses for too long ends with the reason and leaves its prompts without an attempt', async (t) => {
  const place = await makePlace(t);
  const { store, faults } = faultyStore(place);
  faults.put = 'store_unwritable';
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x' })));
  await assert.rejects(work(place, { store, troublePatience: { ...QUICK_PATIENCE, drainMs: 50 } }), {
    code: 'store_unwritable',
  });
  assert.deepEqual(await states(place, IDS), Array(3).fill('pending 0'));
});

test('a folder that becomes a file, and later a folder again, costs no attempt', async (t) => {
  const place = await makePlace(t);
  const root = join(place.folder, 'images');
  await writeFile(root, 'no folder');
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x' })));
  const worker = watch(place, { store: new FileImageStore(root, { prefix: DEFAULT_OBJECT_PREFIX }) });
  await until(() => worker.trouble() !== undefined);
  await rm(root);
  await mkdir(root);
  await until(async () => (await place.queue.counts()).completed === 3);
  assert.deepEqual(await states(place, IDS), Array(3).fill('completed 1'));
});
