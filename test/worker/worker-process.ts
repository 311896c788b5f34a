/**
 * One worker as a process of its own, for tests that kill it: the real queue, store, engine host and worker, with the instant engine child.
 * Usage: worker-process.ts FOLDER OWNER LEASE_MS MODE. Prints each event as a JSON line; SIGTERM stops it gracefully.
 */
import { join } from 'node:path';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import { NO_WEBHOOKS } from './no-webhooks.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { startInstantPool } from '../engine/instant-engine.ts';

const [folder = '', owner = '', lease = '', until = 'drained'] = process.argv.slice(2);
const leaseMs = Number(lease);
const controller = new AbortController();
process.on('SIGTERM', () => controller.abort());
await using queue = new SqlitePromptQueue({ path: join(folder, 'queue.sqlite'), leaseMs, maxAttempts: 5, owner });
await using pool = await startInstantPool();
const summary = await runWorker({
  queue,
  store: new FileImageStore(folder),
  pool,
  webhooks: NO_WEBHOOKS,
  objectPrefix: DEFAULT_OBJECT_PREFIX,
  limits: DEFAULT_LIMITS,
  defaults: { numInferenceSteps: 3 },
  until: until === 'stopped' ? 'stopped' : 'drained',
  leaseMs,
  maxAttempts: 5,
  batchSize: 2,
  signal: controller.signal,
  graceMs: 300,
  pollMs: 30,
  logger: silentLogger,
  onEvent: (event) => process.stdout.write(`${JSON.stringify({ owner, ...event })}\n`),
});
process.stdout.write(`${JSON.stringify({ owner, type: 'summary', ...summary })}\n`);
