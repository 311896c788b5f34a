/** Opens the front over a queue and a store: what the HTTP server and the MCP server share. */
import { KnownWorkers } from '../http/front/known-workers.ts';
import { NamedModels } from '../http/front/model-directory.ts';
import { QueueFront } from '../http/front/queue-front.ts';
import type { Logger } from '../observability/logger.ts';
import type { PromptQueue } from '../queue/prompt-queue.ts';
import type { ImageStore } from '../storage/image-store.ts';
import type { ServeSettings } from './server-settings.ts';

interface Logging {
  readonly logger: Logger;
}

export async function openWorkers({ sideData }: PromptQueue, { logger }: Logging): Promise<KnownWorkers> {
  return KnownWorkers.open({ workers: sideData.workers, canWrite: () => sideData.canWrite(), logger });
}

type FrontSettings = Pick<ServeSettings, 'store' | 'limits' | 'waitTimeoutMs' | 'noWorkerTimeoutMs' | 'isStrict'>;

export interface FrontParts {
  readonly queue: PromptQueue;
  readonly store: ImageStore;
  readonly workers: KnownWorkers;
  readonly models: Awaited<ReturnType<ServeSettings['models']>>;
  /** Whether this process has a worker that can be expected to work: one that still loads its model is in no list of workers. */
  readonly hasOwnWorker?: () => boolean;
  /** Aborted: waits end with `shutting_down`. */
  readonly ending: AbortSignal;
}

export function openFront(settings: FrontSettings, { logger }: Logging, parts: FrontParts): QueueFront {
  const { queue, store, workers, models, hasOwnWorker = () => false, ending } = parts;
  const { named, fallback } = models;
  return new QueueFront({
    queue,
    store,
    objectPrefix: settings.store.prefix,
    models: new NamedModels({
      named,
      fallback,
      isStrict: settings.isStrict,
      ofWorkers: () => workers.models,
      nowMs: Date.now,
    }),
    workers,
    hasWorker: (model) => (hasOwnWorker() && named.some(({ id }) => id === model)) || workers.has(model),
    limits: settings.limits,
    waitTimeoutMs: settings.waitTimeoutMs,
    noWorkerTimeoutMs: settings.noWorkerTimeoutMs,
    logger,
    ending,
  });
}
