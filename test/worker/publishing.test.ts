/** What stands between a worker that lost its claim and the picture of the one that has it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EngineHost } from '../../src/engine/engine-host.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file-image-store.ts';
import type { ImageStore } from '../../src/storage/image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-key.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { NO_WEBHOOKS } from './no-webhooks.ts';

const INSTANT = fileURLToPath(new URL('../engine/instant-engine-child.ts', import.meta.url));

test('a zombie of an earlier run does not overwrite the picture of the run that took over', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-publishing-'));
  const queue = new SqlitePromptQueue({
    path: join(folder, 'q.sqlite'),
    leaseMs: 60_000,
    maxAttempts: 5,
    owner: 'zombie',
  });
  t.after(async () => {
    await queue[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  await queue.enqueue([{ _id: 'a', text: 'x' }]);
  const real = new FileImageStore(folder);
  // While the zombie is about to store, somebody cancels and retries the prompt, and the next run is published.
  const store: ImageStore = {
    description: 'late',
    check: () => real.check(),
    find: (name) => real.find(name),
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
  await using engine = new EngineHost({
    settings: {
      checkpointFolder: '/instant',
      modelName: null,
      variant: null,
      device: 'cpu',
      dtype: 'auto',
      threads: 0,
      vaeTiling: false,
      compileCacheFolder: null,
    },
    logger: silentLogger,
    childPath: INSTANT,
  });
  await engine.start();
  const summary = await runWorker({
    queue,
    store,
    engine,
    webhooks: NO_WEBHOOKS,
    objectPrefix: DEFAULT_OBJECT_PREFIX,
    limits: DEFAULT_LIMITS,
    defaults: { numInferenceSteps: 2 },
    mode: 'drain',
    leaseMs: 60_000,
    maxAttempts: 5,
    batchSize: 1,
    signal: new AbortController().signal,
    graceMs: 1000,
    pollMs: 20,
    logger: silentLogger,
  });
  assert.deepEqual([summary.completed, summary.lost], [0, 1]);
  assert.equal(await readFile(join(folder, 'generated/a.png'), 'utf8'), 'heir');
  assert.equal((await queue.show('a'))?.status, 'completed');
});
