/** The settings of a server: plain values, out of the options and the environment. */
import type { Config } from '../config/options.ts';
import type { FrontLimits } from '../http/front/limits.ts';
import type { NamedModel } from '../http/front/model-directory.ts';
import type { MetricsPlace } from '../http/metrics/metrics-listener.ts';
import type { OriginRules } from '../http/server/allowed-origins.ts';
import type { PromptLimits } from '../job/limits.ts';
import type { RunSettings } from './run-worker.ts';
import { servedModels } from './served-models.ts';
import type { ModelSettings, QueueSettings, StoreSettings } from './settings.ts';

/** The names of models, as `front/model-directory.ts` takes them. */
interface ModelNamesByOperator {
  readonly named: readonly NamedModel[];
  readonly fallback: string;
}

export interface ServeSettings {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** The file; undefined: no keys are asked for. */
  readonly apiKeys: string | undefined;
  readonly origins: OriginRules;
  /** As given: several are separated by commas. */
  readonly urlSecret: string | undefined;
  readonly limits: FrontLimits;
  readonly waitTimeoutMs: number;
  readonly noWorkerTimeoutMs: number;
  /** After the signal, for requests that wait. */
  readonly graceMs: number;
  /** After the signal, for new requests. Default: 5 seconds. */
  readonly acceptMs?: number;
  readonly isStrict: boolean;
  /** Where Prometheus scrapes without a key; undefined: nowhere. */
  readonly metrics: MetricsPlace | undefined;
  readonly queue: QueueSettings;
  readonly store: StoreSettings;
  /** Of a server without a worker of its own, which has one itself; undefined: nobody asks. */
  readonly healthFile: string | undefined;
  /** The worker in this process; undefined: there is none. */
  readonly run: RunSettings | undefined;
  /** Asks nobody and downloads nothing. @throws `model_not_found`, `invalid_option` */
  readonly models: () => Promise<ModelNamesByOperator>;
}

/** Prompts in one request of the jobs API. */
const MAX_PROMPTS = 100;

export interface ServeParts {
  readonly queue: QueueSettings;
  readonly store: StoreSettings;
  /** With the model that a worker of this configuration has. */
  readonly run: RunSettings;
  readonly limits: PromptLimits;
}

export function serveSettings(config: Config, { queue, store, run, limits }: ServeParts): ServeSettings {
  const { host, port, apiKeys, urlSecret, corsOrigin: allowed, publicUrl } = config;
  const isEmbedded = queue.mode.kind === 'embedded';
  const hasWorker = isEmbedded && config.worker;
  return {
    host,
    port,
    apiKeys,
    urlSecret,
    origins: {
      allowed,
      publicUrl: publicUrl?.replace(/\/+$/, ''),
      hosts: config.allowedHosts,
      checksHosts: apiKeys === undefined,
    },
    limits: {
      ...limits,
      maxQueueLength: config.maxQueueLength,
      maxWaiting: config.maxWaiting,
      maxOpenPerKey: config.maxOpenPerKey,
      maxPrompts: MAX_PROMPTS,
    },
    waitTimeoutMs: config.waitTimeout * 1000,
    noWorkerTimeoutMs: config.workerTimeout * 1000,
    graceMs: config.gracePeriod * 1000,
    isStrict: config.strictModels,
    metrics: run.metrics,
    queue,
    store,
    healthFile: hasWorker ? undefined : config.heartbeatFile,
    run: hasWorker ? { ...run, worker: { ...run.worker, until: 'stopped' } } : undefined,
    models: () => modelNames(run.model, isEmbedded),
  };
}

/** A server without a worker of its own lists the models that the workers report, unless the operator names some. */
async function modelNames(settings: ModelSettings, isEmbedded: boolean): Promise<ModelNamesByOperator> {
  const served = await servedModels(settings);
  const isStated = isEmbedded || settings.model !== undefined || settings.models !== undefined;
  return { named: isStated ? served.map(({ id, aliases }) => ({ id, aliases })) : [], fallback: served[0].id };
}
