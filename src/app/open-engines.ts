/** Starts the engine process with the settings' model and device. */
import { EngineHost } from '../engine/engine-host.ts';
import type { Logger } from '../observability/logger.ts';
import type { ModelFolder } from './find-model.ts';
import type { EngineOptions } from './settings.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';

export interface MakeEngineOptions {
  readonly model: ModelFolder;
  readonly logger: Logger;
}

/** Not started yet. */
export function makeEngine({ settings, environment }: EngineOptions, { model, logger }: MakeEngineOptions): EngineHost {
  return new EngineHost({
    settings: {
      ...settings,
      checkpointFolder: model.folder,
      modelName: model.name,
      ...omitUndefined({ vae: model.vae }),
    },
    logger,
    environment,
  });
}

/** The model is loaded when this resolves. @throws what loading throws */
export async function startEngine(engine: EngineHost, { model, logger }: MakeEngineOptions): Promise<void> {
  logger.info('loading the model', {
    folder: model.folder,
    ...omitUndefined({ note: model.note }),
  });
  const facts = await engine.start();
  logger.info('model ready', {
    model: facts.modelName,
    device: facts.device,
    reason: facts.deviceReason,
    dtype: facts.dtype,
    load_ms: Math.round(facts.loadMs),
  });
  if (facts.deviceDetail !== undefined) logger.debug('why this device', { detail: facts.deviceDetail });
  for (const detail of facts.details ?? []) logger.debug('about the model', { detail });
  for (const warning of facts.warnings) logger.warning('about the model', { warning });
}

/** Made and started. @throws what loading throws */
export async function openEngine(options: EngineOptions, made: MakeEngineOptions): Promise<EngineHost> {
  const engine = makeEngine(options, made);
  try {
    await startEngine(engine, made);
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}
