/** Starts the engine that the options describe and waits until the model is warm. */
import { compileCacheFolder } from '../config/load.ts';
import { EngineHost } from '../engine/engine-host.ts';
import { engineEnvironment } from './engine-environment.ts';
import type { CommandContext } from './command-context.ts';
import { findModelFolder } from './model-folder.ts';

/** @throws what a checkpoint or a device deserves; the engine is stopped then */
export async function startEngine({ config, logger }: CommandContext): Promise<EngineHost> {
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
  try {
    const model = await engine.start();
    logger.info('the model is ready', {
      model: model.modelName,
      folder: checkpointFolder,
      device: model.deviceReason,
      load_ms: model.loadMs,
    });
    for (const warning of model.warnings) logger.warning('a note on the checkpoint', { warning });
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}
