/**
 * Runs a worker from its settings to its end: opens queue and store, finds the model, generates, and sends webhooks meanwhile. It generates until the
 * queue is drained or, if it watches the queue, until the signal. A stop takes the grace period and a few seconds at most, even if a call hangs. Each
 * wait below ends with the signal or has its own end.
 */
import { resolve } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { MetricsPlace } from '../http/metrics/metrics-listener.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { HealthFile } from '../observability/health-file.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ModelSelection, PromptQueue } from '../queue/prompt-queue.ts';
import type { ImageStore } from '../storage/image-store.ts';
import type { DeliverySummary, WebhookDeliverer } from '../webhook/deliverer.ts';
import { checkOperatorDefaults } from '../worker/check-operator-defaults.ts';
import { jobsLeft } from '../worker/jobs-left.ts';
import { Registration } from '../worker/registration.ts';
import type { WorkerEvent, WorkerOptions } from '../worker/worker-contract.ts';
import { loadingRecord } from '../worker/worker-facts.ts';
import { runWorker } from '../worker/worker.ts';
import { closing } from './closing.ts';
import { findModel } from './find-model.ts';
import { checkVaeNames } from './find-vae.ts';
import type { DownloadEvents, FindModelOptions } from './pull-model.ts';
import { FindableModel, WorkerEngines } from './open-engines.ts';
import { openMetrics } from './open-metrics.ts';
import { openQueue } from './open-queue.ts';
import { openStore } from './open-store.ts';
import { type ServedModel, servedModels } from './served-models.ts';
import { DELIVERY_DRAIN_MS, webhookDeliverer, webhookPolicy } from './open-webhooks.ts';
import type { EngineOptions, ModelSettings, QueueSettings, StoreSettings, WebhookSettings } from './settings.ts';

/** The embedded queue is a file of this machine, so `jobs show` can show progress more often than once in a third of the lease. */
const EMBEDDED_RENEW_MS = 1000;
/** With a change stream, this is only a second look for new prompts. Without one, a new prompt waits so long at most. */
const MONGO_POLL_MS = 2000;
/** A model that takes longer than this to load is not healthy. */
const MAX_LOAD_MS = 30 * 60_000;
/** For counting the pending webhooks, after a signal. */
const LAST_LOOK_MS = 500;

export interface RunSettings {
  readonly queue: QueueSettings;
  readonly store: StoreSettings;
  readonly webhooks: WebhookSettings;
  readonly model: ModelSettings;
  readonly engine: EngineOptions;
  readonly worker: Pick<WorkerOptions, 'limits' | 'defaults' | 'until' | 'batchSize' | 'isFair' | 'graceMs'>;
  /** Its age says that the worker is alive; undefined: nobody asks. */
  readonly healthFile: string | undefined;
  /** Where Prometheus scrapes; undefined: nowhere. */
  readonly metrics?: MetricsPlace | undefined;
  /** False: webhooks are recorded and left to other processes. Default: true. */
  readonly sendsWebhooks?: boolean;
}

export interface RunOptions {
  readonly logger: Logger;
  /** Aborted: claim nothing more, finish what fits into the grace period, release the rest. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkerEvent) => void;
  readonly download?: Pick<DownloadEvents, 'onProgress' | 'onEnd'>;
  /** The model is loaded. */
  readonly onReady?: () => void;
  /** Of the process. Default: those of the settings. */
  readonly metrics?: Metrics;
}

export interface RunOutcome {
  readonly delivered: DeliverySummary;
  /** The webhooks that the outbox still holds; undefined if the worker could not count them. */
  readonly owed: { readonly pending: number; readonly dead: number } | undefined;
  /** No job was pending at the start, and the worker did not wait for jobs. */
  readonly wasEmpty: boolean;
  /** Jobs for other models than this worker's that were pending at the start of a drain, counted up to `MOST_OTHERS`. */
  readonly others: number;
  /** Why the worker ended before its time. */
  readonly failure: Text2ImgError | undefined;
}

/** @returns undefined when the signal came before there was anything to do @throws what opening and finding throw */
export async function runUntilStopped(settings: RunSettings, options: RunOptions): Promise<RunOutcome | undefined> {
  const { logger, signal } = options;
  const { mode } = settings.queue;
  if (mode.kind === 'embedded')
    logger.info('the queue and the images are in a folder of this machine', { folder: resolve(mode.dataDir) });
  const served = await servedModels(settings.model);
  for (const model of served) await checkVaeNames(model.settings);
  await using opened = closing(await openStore(settings.store, options));
  await using healthFile = new HealthFile(settings.healthFile, logger);
  await using queue = closing(await openQueue(settings.queue, options));
  const { store, publicUrl } = opened.resource;
  const place = options.metrics === undefined ? settings.metrics : undefined;
  await using scraped = await openMetrics(place, { queue: queue.resource, logger });
  const { metrics = scraped?.metrics } = options;
  await using deliverer = webhookDeliverer(settings.webhooks, {
    outbox: queue.resource.outbox,
    logger,
    onOutcome: (outcome, lagMs) => metrics?.ofWebhook(outcome, lagMs),
  });
  const models = { named: served.map(({ id }) => id), takesUnnamed: true };
  const places = { store, queue: queue.resource, models, isWatching: settings.worker.until === 'stopped' };
  const found = await untilAborted(checkPlaces(places, options), signal);
  if (found === undefined) return undefined;
  const workerOptions: Omit<WorkerOptions, 'pool'> = {
    ...settings.worker,
    ...paceOf(settings.queue),
    objectPrefix: settings.store.prefix,
    logger,
    queue: queue.resource,
    store,
    webhooks: webhookPolicy(settings.webhooks, publicUrl),
    onWebhookOwed: () => deliverer.notify(),
    signal,
    onAlive: (trouble) => healthFile.touch(trouble),
    onEvent: (event) => {
      metrics?.ofJob(event);
      options.onEvent(event);
    },
  };
  let failure = found.left;
  // An empty queue is drained without a model; everything else waits until it is warm, so that no claim does.
  if (places.isWatching || !found.isDrained) {
    await using registration = new Registration({
      workers: queue.resource.sideData.workers,
      record: () => loadingRecord({ owner: settings.queue.owner, models }),
      logger,
    });
    // Only now, because it may take long: a wrong database name is reported before gigabytes are downloaded.
    const events = { ...options.download, onAlive: () => healthFile.starting() };
    const findable = findableModels(served, { logger, events });
    const [only, ...others] = findable;
    // One of several that is not found is left out.
    if (only !== undefined && others.length === 0 && (await untilAborted(only.find(), signal)) === undefined)
      return undefined;
    try {
      await work({
        settings,
        options: workerOptions,
        deliverer,
        models: findable,
        healthFile,
        registration,
        onReady: options.onReady,
      });
    } catch (error) {
      failure = Text2ImgError.from(error);
    }
  }
  if (places.isWatching || signal.aborted || isUnreachable(failure)) await deliverer.stop();
  else await deliverer.drain({ withinMs: DELIVERY_DRAIN_MS, signal });
  const owed = await countOwed(queue.resource, failure !== undefined || signal.aborted);
  const wasEmpty = found.isDrained && !places.isWatching && failure === undefined;
  return { delivered: deliverer.summary, owed, wasEmpty, others: found.others, failure };
}

function findableModels(served: readonly ServedModel[], options: FindModelOptions): readonly FindableModel[] {
  return served.map(({ id, settings }) => new FindableModel({ id, find: () => findModel(settings, options) }));
}

function paceOf({ mode, leaseMs, maxAttempts, owner }: QueueSettings) {
  const pace =
    mode.kind === 'embedded' ? { renewMs: Math.min(EMBEDDED_RENEW_MS, leaseMs / 3) } : { pollMs: MONGO_POLL_MS };
  return { leaseMs, maxAttempts, owner, ...pace };
}

interface Places {
  readonly store: ImageStore;
  readonly queue: PromptQueue;
  readonly models: ModelSelection;
  readonly isWatching: boolean;
}

interface Surroundings {
  readonly isDrained: boolean;
  /** A drained queue holds jobs that nobody may claim. */
  readonly left: Text2ImgError | undefined;
  readonly others: number;
}

/** Reports a missing right to write before the worker downloads or claims anything. @throws what store and queue throw */
async function checkPlaces(
  { store, queue, models, isWatching }: Places,
  { logger, signal }: Pick<RunOptions, 'logger' | 'signal'>,
): Promise<Surroundings> {
  const { isDrained, refused, stuck, others = 0 } = await queue.drainState({ signal, models });
  await store.check({ signal });
  logger.info('queue and store opened', { queue: queue.description, store: store.description, empty: isDrained });
  if (isDrained && !isWatching && others > 0)
    logger.warning('the queue has jobs for other models only', { jobs: others, models: models.named });
  const hasLeft = isDrained && !isWatching && refused + stuck > 0;
  return { isDrained, left: hasLeft ? jobsLeft({ refused, stuck }) : undefined, others };
}

interface Work {
  readonly settings: RunSettings;
  readonly options: Omit<WorkerOptions, 'pool'>;
  readonly deliverer: WebhookDeliverer;
  readonly models: readonly FindableModel[];
  readonly healthFile: HealthFile;
  /** As one that loads. */
  readonly registration: Registration;
  readonly onReady: RunOptions['onReady'];
}

/** Generates, and sends webhooks beside it. */
async function work({ settings, options, deliverer, models, healthFile, registration, onReady }: Work): Promise<void> {
  const { signal, logger } = options;
  await using engines = new WorkerEngines(settings.engine, {
    models,
    logger,
    check: (facts) => checkOperatorDefaults(options.defaults, facts),
  });
  const { pool } = engines;
  healthFile.listEngines(() => engines.health);
  {
    // One long wait, in which no loop turns.
    using _ = healthFile.whileStarting(MAX_LOAD_MS);
    await untilAborted(engines.start(), signal);
  }
  // A load cannot be interrupted, and nobody waits for it.
  if (signal.aborted) return pool.kill(new Text2ImgError('engine_unavailable', 'the engine was stopped.'));
  await registration.handOver();
  onReady?.();
  const finished = new AbortController();
  const delivering = settings.sendsWebhooks === false ? undefined : deliverer.run(finished.signal);
  // While images are finished webhooks go on; what hangs there must not begin to hang only then.
  const stopWithGrace = (): void => void setTimeout(() => void deliverer.stop(), options.graceMs).unref();
  signal.addEventListener('abort', stopWithGrace, { once: true });
  try {
    await runWorker({ ...options, pool });
  } finally {
    signal.removeEventListener('abort', stopWithGrace);
    finished.abort();
    await delivering;
  }
}

/** Whether the outbox, which lies in the queue, cannot be worked off either. */
function isUnreachable(failure: Text2ImgError | undefined): boolean {
  if (failure === undefined || failure.code === 'queue_refused') return false;
  return failure.code.startsWith('queue_') || failure.code === 'disk_full';
}

/** @param isShort the end does not wait for an answer */
async function countOwed({ outbox }: PromptQueue, isShort: boolean): Promise<RunOutcome['owed']> {
  if (!isShort) return outbox.counts();
  return untilAborted(outbox.counts(), AbortSignal.timeout(LAST_LOOK_MS)).catch(() => undefined);
}
