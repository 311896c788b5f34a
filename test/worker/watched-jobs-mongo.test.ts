/** Watched jobs and models through MongoDB: the marks, previews and beats of another process are found in its collections. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { silentLogger } from '../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../src/queue/mongo/mongo-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { runWorker } from '../../src/worker/worker.ts';
import type { WorkerEvent } from '../../src/worker/worker-contract.ts';
import { instantModels } from '../engine/instant-engine.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { MongoServers } from '../servers/mongod.ts';
import { NO_WEBHOOKS } from './no-webhooks.ts';
import { until } from './place.ts';

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());
const ENDS = { timeout: 110_000, ...(servers === undefined ? { skip: NO_MONGOD } : {}) };
const LEASE_MS = 600_000;

function openQueue(owner: string): MongoPromptQueue {
  return new MongoPromptQueue({
    uri: servers?.uri('watched') ?? '',
    uriName: 'MONGO_URI',
    collection: 'prompts',
    leaseMs: LEASE_MS,
    maxAttempts: 5,
    owner,
    logger: silentLogger,
  });
}

test(
  'a server and a worker with a connection each: previews, progress, a cancel, the list of workers, and models',
  ENDS,
  async (t) => {
    await using server = openQueue('server');
    await using own = openQueue('worker');
    const folder = await mkdtemp(join(tmpdir(), 'text2img-watched-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const { pool } = instantModels([{ id: 'a' }, { id: 'b' }]);
    t.after(() => pool[Symbol.asyncDispose]());
    await pool.start();
    const { watches, previews, workers } = server.sideData;
    await watches.mark([{ promptId: 'seen', wantsPreviews: true }], 110_000);
    const text = '[slow 100]';
    const documents = [
      { _id: 'seen', text, num_inference_steps: 1000 },
      { _id: 'next', text: 'x' },
    ];
    await server.enqueue(documents, { labels: { model: 'b' } });
    await server.enqueue([{ _id: 'gone', text: 'x' }], { labels: { model: 'c' } });
    const stopping = new AbortController();
    t.after(() => stopping.abort());
    const events: WorkerEvent[] = [];
    const working = runWorker({
      queue: own,
      store: new FileImageStore(folder),
      pool,
      webhooks: NO_WEBHOOKS,
      objectPrefix: DEFAULT_OBJECT_PREFIX,
      limits: DEFAULT_LIMITS,
      defaults: { numInferenceSteps: 3 },
      until: 'stopped',
      owner: 'worker',
      leaseMs: LEASE_MS,
      maxAttempts: 5,
      batchSize: 4,
      signal: stopping.signal,
      graceMs: 0,
      pollMs: 20,
      logger: silentLogger,
      onEvent: (event) => events.push(event),
    });
    working.catch(() => undefined);
    await until(async () => (await previews.get('seen')) !== undefined);
    await until(async () => (await server.show('seen'))?.progress !== undefined);
    const [listed] = await workers.living();
    assert.deepEqual([listed?.id, listed?.models, listed?.takesUnnamed], ['worker', ['a', 'b'], true]);
    // Its lease would be renewed, and the cancel noticed, only after three minutes.
    await server.cancel('seen');
    await until(() => events.some(({ type, id }) => type === 'lost' && id === 'seen'));
    await until(async () => (await server.show('next'))?.status === 'completed');
    await until(async () => (await previews.get('seen')) === undefined);
    stopping.abort();
    await working;
    assert.deepEqual(await workers.living(), []);
    assert.equal((await server.show('gone'))?.status, 'pending', 'no worker here has its model');
  },
);
