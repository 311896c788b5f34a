/**
 * `text2img run`: draws the queue's prompts until it is drained, or, with `--watch`, until a signal. A stop is over within the grace period and a few
 * seconds, whatever hangs: each wait below ends with the signal or has an end of its own.
 */
import { resolve } from 'node:path';
import { resolveMode } from '../config/mode.ts';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { pause } from '../lib/pause.ts';
import { untilAborted } from '../lib/until-aborted.ts';
import { HealthFile } from '../observability/health-file.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import type { ImageStore } from '../storage/image-store.ts';
import type { WebhookDeliverer } from '../webhook/deliverer.ts';
import { jobsLeft } from '../worker/jobs-left.ts';
import type { WorkerOptions } from '../worker/worker-contract.ts';
import { runWorker } from '../worker/worker.ts';
import type { CommandContext, ExitCode } from '../cli/command-context.ts';
import { defaultsOf, limitsOf } from '../cli/limits.ts';
import { findModelFolder, type ModelFolder } from './find-model.ts';
import { makeEngine, startEngine } from './open-engines.ts';
import { openQueue, openStore } from './open-queue.ts';
import { DELIVERY_DRAIN_MS, webhookDeliverer, webhookPolicy } from './open-webhooks.ts';
import { show, summarize, Tally } from '../cli/run-output.ts';
import { listenForSignals, type SignalListener } from '../cli/signals.ts';

const SOME_PROMPT_FAILED: ExitCode = 3;
/** The embedded queue is a file of this machine, so `jobs show` can hear of progress more often than a third of the lease. */
const EMBEDDED_RENEW_MS = 1000;
/** Where a change stream tells of new prompts this is only a second look; elsewhere it is what a new prompt waits at most. */
const MONGO_POLL_MS = 2000;
/** A model that takes longer than this to load is not healthy. */
const MAX_LOAD_MS = 30 * 60_000;
/** Nothing depends on how a connection is closed. */
const CLOSE_MS = 1500;
/** For counting what is still owed, after a signal. */
const LAST_LOOK_MS = 500;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { config, logger } = context;
  using stopping = listenForSignals({ logger, graceMs: config.gracePeriod * 1000 });
  const exitCode = await untilAborted(runUntilStopped(context, stopping), stopping.lastSignal);
  if (exitCode === undefined) logger.warning('something did not answer until the end of the stop, and is left');
  return exitCode ?? 0;
}

async function runUntilStopped(context: CommandContext, stopping: SignalListener): Promise<ExitCode> {
  const { config, logger } = context;
  const mode = resolveMode(config);
  if (mode.kind === 'embedded')
    logger.info('embedded mode: queue and pictures are in a folder of this machine', { folder: resolve(mode.dataDir) });
  // A key file that cannot sign is said before a model is fetched.
  await using opened = closing(openStore(context));
  const healthFile = new HealthFile(config.heartbeatFile, logger);
  // A model that cannot be had is said before the queue is looked at; fetching one may take long.
  const finding = findModelFolder(context, () => healthFile.touch());
  const model = await untilAborted(finding, stopping.signal);
  if (model === undefined) return 0;
  await using queue = closing(openQueue(context));
  const { store, publicUrl } = opened.resource;
  await using deliverer = webhookDeliverer(context, queue.resource);
  const found = await untilAborted(
    lookAround(context, { store, queue: queue.resource, signal: stopping.signal }),
    stopping.signal,
  );
  if (found === undefined) return 0;
  const tally = new Tally();
  const options: Omit<WorkerOptions, 'engine'> = {
    ...fixedOptions(context),
    queue: queue.resource,
    store,
    webhooks: webhookPolicy(context, publicUrl),
    onWebhookOwed: () => deliverer.notify(),
    signal: stopping.signal,
    onAlive: (trouble) => healthFile.touch(trouble),
    onEvent: (event) => {
      tally.add(event);
      show(context, event);
    },
  };
  let failure = found.left;
  // An empty queue is drained without a model; everything else waits until it is warm, so that no claim does.
  if (config.watch || !found.isDrained) {
    try {
      await work(context, { options, deliverer, model, healthFile });
    } catch (error) {
      failure = Text2ImgError.from(error);
    }
  }
  const { signal } = stopping;
  if (config.watch || signal.aborted || isUnreachable(failure)) await deliverer.stop();
  else await deliverer.drain({ withinMs: DELIVERY_DRAIN_MS, signal });
  const { summary } = tally;
  const owed = await countOwed(queue.resource, failure !== undefined || signal.aborted);
  summarize(context, { summary, delivered: deliverer.summary, owed });
  if (failure !== undefined) throw failure;
  return config.failOnError && summary.failed > 0 ? SOME_PROMPT_FAILED : 0;
}

function fixedOptions({ config, logger }: CommandContext) {
  const leaseMs = config.leaseSeconds * 1000;
  const isEmbedded = resolveMode(config).kind === 'embedded';
  return {
    objectPrefix: config.gcsPrefix,
    limits: limitsOf(config),
    defaults: defaultsOf(config),
    mode: config.watch ? 'watch' : 'drain',
    leaseMs,
    ...(isEmbedded ? { renewMs: Math.min(EMBEDDED_RENEW_MS, leaseMs / 3) } : { pollMs: MONGO_POLL_MS }),
    maxAttempts: config.maxAttempts,
    batchSize: config.batchSize,
    graceMs: config.gracePeriod * 1000,
    logger,
  } as const;
}

interface Places {
  readonly store: ImageStore;
  readonly queue: PromptQueue;
  readonly signal: AbortSignal;
}

interface Surroundings {
  readonly isDrained: boolean;
  /** A drained queue holds jobs that nobody may claim. */
  readonly left: Text2ImgError | undefined;
}

/** Whoever may not write finds it out before anything is claimed. @throws what store and queue throw */
async function lookAround({ config, logger }: CommandContext, { store, queue, signal }: Places): Promise<Surroundings> {
  await store.check({ signal });
  const { isDrained, refused, stuck } = await queue.drainState({ signal });
  logger.info('queue and store opened', { queue: queue.description, store: store.description, empty: isDrained });
  const hasLeft = isDrained && !config.watch && refused + stuck > 0;
  return { isDrained, left: hasLeft ? jobsLeft({ refused, stuck }) : undefined };
}

interface Work {
  readonly options: Omit<WorkerOptions, 'engine'>;
  readonly deliverer: WebhookDeliverer;
  readonly model: ModelFolder;
  readonly healthFile: HealthFile;
}

/** Draws, and sends webhooks beside it. */
async function work(context: CommandContext, { options, deliverer, model, healthFile }: Work): Promise<void> {
  const { signal } = options;
  await using engine = makeEngine(context, model);
  {
    // One long wait, in which no loop turns.
    using _ = healthFile.whileWaiting(MAX_LOAD_MS);
    await untilAborted(startEngine(context, { engine, model }), signal);
  }
  // A load cannot be interrupted, and nobody waits for it.
  if (signal.aborted) return engine.kill(new Text2ImgError('engine_unavailable', 'the engine was stopped.'));
  const finished = new AbortController();
  const delivering = deliverer.run(finished.signal);
  // While pictures are finished webhooks go on; what hangs there must not begin to hang only then.
  const stopWithGrace = (): void => void setTimeout(() => void deliverer.stop(), options.graceMs).unref();
  signal.addEventListener('abort', stopWithGrace, { once: true });
  try {
    await runWorker({ ...options, engine });
  } finally {
    signal.removeEventListener('abort', stopWithGrace);
    finished.abort();
    await delivering;
  }
}

/** Whether the outbox, which lies in the queue, cannot be worked off either. */
function isUnreachable(failure: Text2ImgError | undefined): boolean {
  return failure !== undefined && failure.code.startsWith('queue_') && failure.code !== 'queue_refused';
}

/** @param isShort the end does not wait for an answer */
async function countOwed(
  { outbox }: PromptQueue,
  isShort: boolean,
): Promise<{ readonly pending: number; readonly dead: number } | undefined> {
  if (!isShort) return outbox.counts();
  return untilAborted(outbox.counts(), AbortSignal.timeout(LAST_LOOK_MS)).catch(() => undefined);
}

/** Closed at the end, but not waited for longer than it is worth. */
function closing<T extends AsyncDisposable>(resource: T): AsyncDisposable & { readonly resource: T } {
  return {
    resource,
    [Symbol.asyncDispose]: () => Promise.race([resource[Symbol.asyncDispose](), pause(CLOSE_MS)]),
  };
}
