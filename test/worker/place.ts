/** Where the worker's tests work: an embedded queue and a folder, with the instant engine. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import type { EngineHostOptions } from '../../src/engine/engine-host.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import type { JobSummary } from '../../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import { runWorker } from '../../src/worker/worker.ts';
import type { TroubleReport } from '../../src/worker/trouble.ts';
import type { WorkerEvent, WorkerOptions, WorkerSummary } from '../../src/worker/worker-contract.ts';
import { NO_WEBHOOKS } from './no-webhooks.ts';
import { startInstantPool } from '../engine/instant-engine.ts';

export interface Place {
  readonly folder: string;
  readonly queue: SqlitePromptQueue;
  /** Called before the queue is closed. */
  readonly atEnd: (() => Promise<unknown>)[];
}

export async function makePlace(t: TestContext): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-worker-'));
  const queue = new SqlitePromptQueue({
    path: join(folder, 'queue.sqlite'),
    leaseMs: 60_000,
    maxAttempts: 5,
    owner: 'test',
  });
  const atEnd: Place['atEnd'] = [];
  t.after(async () => {
    for (const end of atEnd) await end();
    await queue[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, queue, atEnd };
}

/** Of the only engine, or of each one in the pool. */
type Engines = Partial<EngineHostOptions> | Partial<EngineHostOptions>[];

/** A worker in this process. */
export async function work(
  { folder, queue }: Place,
  changes: Partial<WorkerOptions> = {},
  engines: Engines = {},
): Promise<{ readonly summary: WorkerSummary; readonly events: WorkerEvent[] }> {
  const options = [engines].flat().map((one) => ({ logger: changes.logger ?? silentLogger, ...one }));
  await using pool = await startInstantPool(...options);
  const events: WorkerEvent[] = [];
  const summary = await runWorker({
    queue,
    store: new FileImageStore(folder),
    pool,
    webhooks: NO_WEBHOOKS,
    objectPrefix: DEFAULT_OBJECT_PREFIX,
    limits: DEFAULT_LIMITS,
    defaults: { numInferenceSteps: 3 },
    until: 'drained',
    leaseMs: 60_000,
    maxAttempts: 5,
    owner: 'test',
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

/** So that a test of minutes takes less than a second. */
export const QUICK_PATIENCE = { firstPauseMs: 20, maxPauseMs: 50, drainMs: 600_000 } as const;

/** Resolves when it holds; the test's own limit ends a wait in vain. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10);
}

/** A worker under watch that a test talks to. */
export interface Watching {
  readonly events: readonly WorkerEvent[];
  /** What keeps it from claiming now. */
  readonly trouble: () => TroubleReport | undefined;
  /** How often the engine began to draw this job. */
  readonly drawings: (id: string) => number;
  /** What `run` does at SIGTERM. */
  readonly stop: () => Promise<WorkerSummary>;
}

export function watch(place: Place, changes: Partial<WorkerOptions> = {}, engines: Engines = {}): Watching {
  const controller = new AbortController();
  const events: WorkerEvent[] = [];
  let trouble: TroubleReport | undefined;
  const working = work(
    place,
    {
      until: 'stopped',
      batchSize: 1,
      signal: controller.signal,
      troublePatience: QUICK_PATIENCE,
      onAlive: (report) => (trouble = report),
      onEvent: (event) => events.push(event),
      ...changes,
    },
    engines,
  );
  const stop = async (): Promise<WorkerSummary> => {
    controller.abort();
    return (await working).summary;
  };
  working.catch(() => undefined);
  place.atEnd.push(stop);
  const drawings = (id: string): number =>
    events.filter((event) => event.type === 'progress' && event.id === id && event.step === 1).length;
  return { events, trouble: () => trouble, drawings, stop };
}

/** Status and attempts of each. */
export async function states({ queue }: Place, ids: readonly string[]): Promise<string[]> {
  const jobs = await Promise.all(ids.map((id) => queue.show(id)));
  return jobs.map((job) => `${job?.status} ${job?.attempts}`);
}
