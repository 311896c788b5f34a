/**
 * Starts the engine process with the options' model and device.
 */
import { compileCacheFolder } from '../config/user-folders.ts';
import { EngineHost } from '../engine/engine-host.ts';
import type { CommandContext } from './command-context.ts';
import { engineEnvironment } from './engine-environment.ts';
import { findModelFolder, type ModelFolder } from './model-folder.ts';

/** The model is loaded when this resolves. @throws `model_not_found`, and what loading throws */
export async function openEngine(context: CommandContext, found?: ModelFolder): Promise<EngineHost> {
  const { config, logger } = context;
  const model = found ?? (await findModelFolder(context));
  const engine = new EngineHost({
    settings: {
      checkpointFolder: model.folder,
      modelName: model.name,
      variant: config.variant ?? null,
      device: config.device,
      dtype: config.dtype,
      threads: config.threads,
      vaeTiling: config.vaeTiling,
      compileCacheFolder: compileCacheFolder(config),
      verifyCache: config.verifyCache,
    },
    logger,
    environment: engineEnvironment(),
  });
  logger.info('loading the model', {
    folder: model.folder,
    ...(model.note === undefined ? {} : { note: model.note }),
  });
  try {
    const facts = await engine.start();
    logger.info('model ready', {
      model: facts.modelName,
      device: facts.device,
      reason: facts.deviceReason,
      dtype: facts.dtype,
      load_ms: Math.round(facts.loadMs),
    });
    for (const warning of facts.warnings) logger.warning('about the model', { warning });
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}
