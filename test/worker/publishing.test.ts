/** What stands between a worker that lost its claim and the picture of the one that has it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import type { ImageStore } from '../../src/storage/image-store.ts';
import { makePlace, work } from './place.ts';

test('a zombie of an earlier run does not overwrite the picture of the run that took over', async (t) => {
  const place = await makePlace(t);
  const { folder, queue } = place;
  await queue.enqueue([{ _id: 'a', text: 'x' }]);
  const real = new FileImageStore(folder);
  // While the zombie is about to store, somebody cancels and retries the prompt, and the next run is published.
  const store: ImageStore = {
    description: 'late',
    check: () => real.check(),
    find: (name, options) => real.find(name, options),
    read: (name, options) => real.read(name, options),
    open: (name, options) => real.open(name, options),
    adopt: (name, docKey) => real.adopt(name, docKey),
    remove: (name, docKey, options) => real.remove(name, docKey, options),
    probe: (options) => real.probe(options),
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
    put: async (object, options) => {
      if (await queue.cancel('a')) {
        await queue.retry('a');
        const [next] = await queue.claim({ limit: 1 });
        assert.ok(next !== undefined);
        const metadata = { runId: next.runId, docKey: next.docKey, seed: 1, model: 'instant' };
        await real.put(
          { name: object.name, png: new TextEncoder().encode('heir'), metadata },
          { mayReplace: async () => true },
        );
        await queue.complete(next, { imageUrls: ['file:///heir.png'], seed: 1, parameters: {}, warnings: [] });
      }
      return real.put(object, options);
    },
  };
  const { summary } = await work(place, { store });
  assert.deepEqual([summary.completed, summary.lost], [0, 1]);
  assert.equal(await readFile(join(folder, 'generated/a.png'), 'utf8'), 'heir');
  assert.equal((await queue.show('a'))?.status, 'completed');
});
