/**
 * `text2img run`: draws the queue's prompts until it is drained, or, with `--watch`, until a signal.
 */
import { resolve } from 'node:path';
import { resolveMode } from '../config/mode.ts';
import { HeartbeatFile } from '../observability/heartbeat-file.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import type { WebhookDeliverer } from '../webhook/deliverer.ts';
import type { WorkerEvent, WorkerOptions, WorkerSummary } from '../worker/worker-options.ts';
import { runWorker } from '../worker/worker.ts';
import type { CommandContext, ExitCode } from './command-context.ts';
import { defaultsOf, limitsOf } from './limits.ts';
import { findModelFolder, type ModelFolder } from './model-folder.ts';
import { openEngine } from './open-engine.ts';
import { openQueue, openStore } from './open-queue.ts';
import { DELIVERY_DRAIN_MS, webhookDeliverer, webhookPolicy } from './open-webhooks.ts';
import { printable } from '../lib/foreign-text.ts';
import { listenForSignals } from './signals.ts';

const SOME_PROMPT_FAILED: ExitCode = 3;
/** The embedded queue is a file of this machine, so `jobs show` can hear of progress more often than a third of the lease. */
const EMBEDDED_BEAT_MS = 1000;
/** Where a change stream tells of new prompts this is only a second look; elsewhere it is what a new prompt waits at most. */
const MONGO_POLL_MS = 2000;
/** A model that takes longer than this to load is not healthy. */
const MAX_LOAD_MS = 30 * 60_000;
const NOTHING_DONE: WorkerSummary = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0 };

export async function run(context: CommandContext): Promise<ExitCode> {
  const { config, logger } = context;
  const mode = resolveMode(config);
  if (mode.kind === 'embedded')
    logger.info('embedded mode: queue and pictures are in a folder of this machine', { folder: resolve(mode.dataDir) });
  // A key file that cannot sign is said before a model is fetched.
  await using opened = openStore(context);
  // A model that cannot be had is said before the queue is looked at; fetching one may take long.
  const heartbeat = new HeartbeatFile(config.heartbeatFile, logger);
  const model = await findModelFolder(context, () => heartbeat.touch());
  using stopping = listenForSignals(logger);
  await using queue = openQueue(context);
  const { store, publicUrl } = opened;
  await using deliverer = webhookDeliverer(context, queue);
  // Whoever may not write finds it out before anything is claimed.
  await store.check({ signal: stopping.signal });
  const isDrained = await queue.isDrained();
  logger.info('queue and store opened', { queue: queue.description, store: store.description, empty: isDrained });

  const leaseMs = config.leaseSeconds * 1000;
  const options: Omit<WorkerOptions, 'engine'> = {
    queue,
    store,
    webhooks: webhookPolicy(context, publicUrl),
    onWebhookOwed: () => deliverer.notify(),
    objectPrefix: config.gcsPrefix,
    limits: limitsOf(config),
    defaults: defaultsOf(config),
    mode: config.watch ? 'watch' : 'drain',
    leaseMs,
    ...(mode.kind === 'embedded' ? { beatMs: Math.min(EMBEDDED_BEAT_MS, leaseMs / 3) } : { pollMs: MONGO_POLL_MS }),
    maxAttempts: config.maxAttempts,
    batchSize: config.batchSize,
    signal: stopping.signal,
    graceMs: config.gracePeriod * 1000,
    logger,
    onAlive: () => heartbeat.touch(),
    onEvent: (event) => show(context, event),
  };
  // An empty queue is drained without a model; everything else waits until it is warm, so that no claim does.
  const isIdle = !config.watch && isDrained;
  const summary = isIdle ? NOTHING_DONE : await work(context, { options, deliverer, model, heartbeat });
  if (config.watch) await deliverer.stop();
  else await deliverer.drain({ withinMs: DELIVERY_DRAIN_MS, signal: stopping.signal });
  await summarize(context, { summary, deliverer, queue });
  return config.failOnError && summary.failed > 0 ? SOME_PROMPT_FAILED : 0;
}

interface Work {
  readonly options: Omit<WorkerOptions, 'engine'>;
  readonly deliverer: WebhookDeliverer;
  readonly model: ModelFolder;
  readonly heartbeat: HeartbeatFile;
}

/** Loading is one long wait, in which no loop turns. */
async function loading<T>(heartbeat: HeartbeatFile, load: () => Promise<T>): Promise<T> {
  using _ = heartbeat.whileWaiting(MAX_LOAD_MS);
  return await load();
}

/** Draws, and sends webhooks beside it. */
async function work(context: CommandContext, { options, deliverer, model, heartbeat }: Work): Promise<WorkerSummary> {
  await using engine = await loading(heartbeat, () => openEngine(context, model));
  const finished = new AbortController();
  const delivering = deliverer.run(finished.signal);
  try {
    return await runWorker({ ...options, engine });
  } finally {
    finished.abort();
    await delivering;
  }
}

function show({ config, terminal }: CommandContext, event: WorkerEvent): void {
  switch (event.type) {
    case 'claimed':
      return;
    case 'progress':
      return terminal.progress(event.id, { label: event.id, step: event.step, steps: event.steps });
    case 'completed':
    case 'failed':
    case 'retried':
    case 'released':
    case 'lost':
      terminal.endProgress(event.id);
      if (config.json) return terminal.result(JSON.stringify(event));
      if (event.type === 'completed') for (const url of event.imageUrls) terminal.result(printable(url));
  }
}

interface Ending {
  readonly summary: WorkerSummary;
  readonly deliverer: WebhookDeliverer;
  readonly queue: PromptQueue;
}

async function summarize({ config, terminal }: CommandContext, { summary, deliverer, queue }: Ending): Promise<void> {
  const { pending, dead } = await queue.outbox.counts();
  const webhooks = { delivered: deliverer.summary.delivered, owed: pending, givenUp: dead };
  if (config.json) return terminal.result(JSON.stringify({ type: 'summary', ...summary, webhooks }));
  const { completed, failed, retried, released, lost } = summary;
  const rare = [
    [retried, 'to be tried again'],
    [released, 'given back'],
    [lost, 'taken away'],
    [webhooks.delivered, 'webhooks delivered'],
    [webhooks.owed, 'webhooks still owed'],
    [webhooks.givenUp, 'webhooks given up'],
  ] as const;
  const others = rare.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  terminal.line(`${completed} completed, ${failed} failed${others.join('')}`);
}
