/** Where the worker's tests work: an embedded queue and a folder, with the instant engine. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import type { JobSummary } from '../../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-key.ts';
import { runWorker } from '../../src/worker/worker.ts';
import type { WorkerEvent, WorkerOptions, WorkerSummary } from '../../src/worker/worker-options.ts';
import { NO_WEBHOOKS } from './no-webhooks.ts';
import { startInstantEngine } from '../engine/instant-engine.ts';

export interface Place {
  readonly folder: string;
  readonly queue: SqlitePromptQueue;
}

export async function makePlace(t: TestContext): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-worker-'));
  const queue = new SqlitePromptQueue({
    path: join(folder, 'queue.sqlite'),
    leaseMs: 60_000,
    maxAttempts: 5,
    owner: 'test',
  });
  t.after(async () => {
    await queue[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, queue };
}

/** A worker in this process. */
export async function work(
  { folder, queue }: Place,
  changes: Partial<WorkerOptions> = {},
): Promise<{ readonly summary: WorkerSummary; readonly events: WorkerEvent[] }> {
  await using engine = await startInstantEngine();
  const events: WorkerEvent[] = [];
  const summary = await runWorker({
    queue,
    store: new FileImageStore(folder),
    engine,
    webhooks: NO_WEBHOOKS,
    objectPrefix: DEFAULT_OBJECT_PREFIX,
    limits: DEFAULT_LIMITS,
    defaults: { numInferenceSteps: 3 },
    mode: 'drain',
    leaseMs: 60_000,
    maxAttempts: 5,
    batchSize: 4,
    signal: new AbortController().signal,
    graceMs: 1000,
    pollMs: 20,
    logger: silentLogger,
    onEvent: (event) => events.push(event),
    ...changes,
  });
  return { summary, events };
}

export async function show({ queue }: Place, id: string): Promise<JobSummary> {
  const summary = await queue.show(id);
  assert.ok(summary !== undefined);
  return summary;
}
