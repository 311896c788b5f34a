/** The settings of a worker, out of the options of `run` and `serve`. */
import type { RunSettings } from '../app/run-worker.ts';
import {
  engineOptions,
  metricsPlace,
  modelSettings,
  queueSettings,
  storeSettings,
  webhookSettings,
} from '../app/settings.ts';
import { DEFAULT_PRODUCTION_MODEL } from '../config/hub.ts';
import { resolveMode } from '../config/mode.ts';
import { defaultHealthFile } from '../observability/health-worker.ts';
import type { QueueContext } from './command-context.ts';
import { defaultsOf, limitsOf } from './request-settings.ts';

/** @throws `invalid_option` */
export function runSettings({ config, environment, mode }: QueueContext): RunSettings {
  const defaultModel = mode.kind === 'production' ? DEFAULT_PRODUCTION_MODEL : undefined;
  return {
    queue: queueSettings(config, mode),
    store: storeSettings(config, { mode: resolveMode(config, environment), environment }),
    webhooks: webhookSettings(config, environment),
    model: modelSettings(config, { defaultModel, environment }),
    engine: engineOptions(config, environment),
    worker: {
      limits: limitsOf(config),
      defaults: defaultsOf(config),
      until: config.watch ? 'stopped' : 'drained',
      batchSize: config.batchSize,
      isFair: config.fair,
      graceMs: config.gracePeriod * 1000,
    },
    healthFile: config.heartbeatFile ?? defaultHealthFile(),
    metrics: metricsPlace(config),
  };
}
