/** The log's lines about a model that an engine has loaded. */
import type { EngineHost } from '../engine/engine-host.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import type { Logger } from '../observability/logger.ts';
import type { EnginePlan } from './engine-plans.ts';

interface ReadyOptions {
  readonly plan: Pick<EnginePlan, 'threads' | 'cpus'>;
  readonly logger: Logger;
  readonly isOneOfSeveral: boolean;
}

export function logReady(facts: EngineHost['model'], { plan, logger, isOneOfSeveral }: ReadyOptions): void {
  const { threads, cpus } = plan;
  logger.info('model ready', {
    model: facts.modelName,
    device: facts.device,
    ...omitUndefined({ gpu: facts.deviceName }),
    reason: facts.deviceReason,
    dtype: facts.dtype,
    ...omitUndefined({
      weights: facts.weights,
      runtime: facts.runtime,
      runtime_reason: facts.runtimeReason,
      form: facts.form,
    }),
    load_ms: Math.round(facts.loadMs),
    ...(isOneOfSeveral && facts.device === 'cpu' ? { threads, ...omitUndefined({ cpus }) } : {}),
  });
  if (facts.deviceDetail !== undefined) logger.debug('why this device', { detail: facts.deviceDetail });
  for (const detail of facts.details ?? []) logger.debug('about the model', { detail });
  for (const warning of facts.warnings) logger.warning('about the model', { warning });
}
