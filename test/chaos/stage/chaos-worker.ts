/**
 * One worker of the chaos test: everything real but the pixels, which the instant engine child draws behind the real protocol.
 * Usage: chaos-worker.ts ORDERS, as JSON. SIGTERM stops it gracefully.
 */
import { DEFAULT_LIMITS } from '../../../src/job/limits.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../../src/queue/mongo/mongo-prompt-queue.ts';
import { GcsImageStore } from '../../../src/storage/gcs/gcs-image-store.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../../src/storage/object-prefix.ts';
import { WebhookDeliverer } from '../../../src/webhook/deliverer.ts';
import { WebhookPolicy } from '../../../src/webhook/webhook-policy.ts';
import { runWorker } from '../../../src/worker/worker.ts';
import { COLLECTION, MAX_ATTEMPTS, MODEL_STEPS, MODELS } from '../settings.ts';
import { join } from 'node:path';
import { INSTANT_SETTINGS, type InstantModel, instantModels } from '../../engine/instant-engine.ts';
import type { WorkerOrders } from './worker-place.ts';

const orders = JSON.parse(process.argv[2] ?? '{}') as WorkerOrders;
const { mongoUri: uri, gcsUrl, callbackUrl, owner, leaseMs, modelsFolder } = orders;
const logger = {
  ...silentLogger,
  error: (message: string, fields?: object) => process.stderr.write(`${owner} ${message} ${JSON.stringify(fields)}\n`),
};
const controller = new AbortController();
process.on('SIGTERM', () => controller.abort());
// Whoever started it is gone.
process.on('disconnect', () => process.exit());

await using queue = new MongoPromptQueue({
  uri,
  collection: COLLECTION,
  leaseMs,
  maxAttempts: MAX_ATTEMPTS,
  owner,
  logger,
});
const models = orders.models.map(
  (id): InstantModel => ({
    id,
    changes: {
      respawnMs: 10,
      stallMs: 5000,
      settings: { ...INSTANT_SETTINGS, checkpointFolder: join(modelsFolder, id) },
      environment: { ...process.env, INSTANT_ENGINE_READS_FOLDER: '1' },
    },
  }),
);
await using pool = instantModels(models, { engines: orders.engines, unnamed: MODELS[0] }).pool;
await pool.start();
await using deliverer = new WebhookDeliverer({
  outbox: queue.outbox,
  logger: silentLogger,
  operatorUrl: callbackUrl,
  secrets: [],
  guard: { allowedHosts: new Set() },
  userAgent: 'text2img/chaos',
  timeoutMs: 1000,
  leaseMs: 3000,
  pollMs: 500,
  // The schedule of three days in seconds, and without end: whether it ends is not what is tested here.
  pauseAfter: (tries) => Math.min(50 * 2 ** tries, 1000),
});
const finished = new AbortController();
const delivering = deliverer.run(finished.signal);
await runWorker({
  queue,
  store: new GcsImageStore({
    bucket: 'pictures',
    logger: silentLogger,
    credentialsFile: undefined,
    apiEndpoint: gcsUrl,
    tryMs: 400,
    deadlineMs: 1500,
  }),
  pool,
  webhooks: new WebhookPolicy({
    hasOperatorUrl: true,
    events: new Set(['completed'] as const),
    guard: { allowedHosts: new Set() },
    publicUrl: async (url) => url,
  }),
  onWebhookOwed: () => deliverer.notify(),
  objectPrefix: DEFAULT_OBJECT_PREFIX,
  limits: DEFAULT_LIMITS,
  defaults: { numInferenceSteps: MODEL_STEPS },
  until: 'stopped',
  leaseMs,
  maxAttempts: MAX_ATTEMPTS,
  batchSize: 4,
  owner,
  isFair: orders.isFair,
  signal: controller.signal,
  graceMs: 300,
  pollMs: 200,
  // As a run of days would wait, in seconds.
  troublePatience: { firstPauseMs: 100, maxPauseMs: 1000, drainMs: 60_000 },
  logger,
}).finally(() => finished.abort());
await delivering;
process.disconnect?.();
