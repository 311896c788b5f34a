/** One worker of `bench:queue` in a process of its own: drains a collection with the instant engine, and reports what that cost. */
import { DEFAULT_LIMITS } from '../src/job/limits.ts';
import { silentLogger } from '../src/observability/logger.ts';
import { MongoPromptQueue } from '../src/queue/mongo/mongo-prompt-queue.ts';
import { GcsImageStore } from '../src/storage/gcs/gcs-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../src/storage/object-prefix.ts';
import { runWorker } from '../src/worker/worker.ts';
import { NO_WEBHOOKS } from '../test/worker/no-webhooks.ts';
import { startInstantPool } from '../test/engine/instant-engine.ts';

export interface QueueWorkerReport {
  readonly completed: number;
  readonly cpuMsPerDocument: number;
  /** Without the first ones, in which code is compiled. */
  readonly laterCpuMsPerDocument: number;
  /** Median. */
  readonly gapMs: number;
  /** Of the time from the first step to the last. */
  readonly idleShare: number;
}

const [uri = '', collection = '', gcsUrl = ''] = process.argv.slice(2);
const LEASE_MS = 60_000;
const FIRST_DOCUMENTS = 10;
await using queue = new MongoPromptQueue({
  uri,
  collection,
  leaseMs: LEASE_MS,
  maxAttempts: 5,
  owner: 'bench',
  logger: silentLogger,
});
await using pool = await startInstantPool();
await queue.isDrained();

/** Jobs that the engine has and that have not come to their last step. */
const open = new Set<string>();
const gaps: number[] = [];
let idleSinceMs: number | undefined;
let firstMs: number | undefined;
let lastMs = 0;

function sawStep(id: string, step: number, steps: number): void {
  const nowMs = performance.now();
  firstMs ??= nowMs;
  lastMs = nowMs;
  if (idleSinceMs !== undefined) gaps.push(nowMs - idleSinceMs);
  idleSinceMs = undefined;
  open.add(id);
  if (step === steps) open.delete(id);
  // Jobs of one batch are drawn one after the other: none is open between two of them either, so the next step ends the gap at once.
  if (open.size === 0) idleSinceMs = nowMs;
}

let lastSteps = 0;
let afterFirst: NodeJS.CpuUsage | undefined;
const before = process.cpuUsage();
const { completed } = await runWorker({
  queue,
  store: new GcsImageStore({
    bucket: 'pictures',
    logger: silentLogger,
    credentialsFile: undefined,
    apiEndpoint: gcsUrl,
  }),
  pool,
  webhooks: NO_WEBHOOKS,
  objectPrefix: DEFAULT_OBJECT_PREFIX,
  limits: DEFAULT_LIMITS,
  defaults: { numInferenceSteps: 1 },
  until: 'drained',
  leaseMs: LEASE_MS,
  maxAttempts: 5,
  batchSize: 10,
  signal: new AbortController().signal,
  graceMs: 0,
  logger: silentLogger,
  onEvent: (event) => {
    if (event.type !== 'progress') return;
    sawStep(event.id, event.step, event.steps);
    if (event.step === event.steps && ++lastSteps === FIRST_DOCUMENTS) afterFirst = process.cpuUsage();
  },
});
const cpuMsSince = (start: NodeJS.CpuUsage | undefined): number => {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
};
const sorted = gaps.toSorted((a, b) => a - b);
const report: QueueWorkerReport = {
  completed,
  cpuMsPerDocument: cpuMsSince(before) / completed,
  laterCpuMsPerDocument: cpuMsSince(afterFirst) / (completed - FIRST_DOCUMENTS),
  gapMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
  idleShare: gaps.reduce((sum, gap) => sum + gap, 0) / (lastMs - (firstMs ?? 0)),
};
process.send?.(report);
process.disconnect?.();
