/**
 * Starts the engine process with the options' model and device.
 */
import { compileCacheFolder } from '../config/load.ts';
import { EngineHost } from '../engine/engine-host.ts';
import type { CommandContext } from './command-context.ts';
import { engineEnvironment } from './engine-environment.ts';
import { findModelFolder } from './model-folder.ts';

/** The model is loaded when this resolves. @throws `model_not_found`, and what loading throws */
export async function openEngine({ config, logger }: CommandContext): Promise<EngineHost> {
  const checkpointFolder = await findModelFolder(config);
  const environment = engineEnvironment();
  const engine = new EngineHost({
    settings: {
      checkpointFolder,
      device: config.device,
      dtype: config.dtype,
      threads: config.threads,
      vaeTiling: config.vaeTiling,
      compileCacheFolder: compileCacheFolder(config),
    },
    logger,
    ...(environment === undefined ? {} : { environment }),
  });
  logger.info('loading the model', {
    folder: checkpointFolder,
    ...(config.model === undefined ? { note: 'the demo checkpoint, since no --model was given' } : {}),
  });
  try {
    const model = await engine.start();
    logger.info('model ready', {
      model: model.modelName,
      device: model.device,
      reason: model.deviceReason,
      dtype: model.dtype,
      load_ms: Math.round(model.loadMs),
    });
    for (const warning of model.warnings) logger.warning('about the model', { warning });
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}
