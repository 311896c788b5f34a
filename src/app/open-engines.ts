/**
 * Starts the engine process with the options' model and device.
 */
import { compileCacheFolder } from '../config/user-folders.ts';
import { EngineHost } from '../engine/engine-host.ts';
import type { CommandContext } from '../cli/command-context.ts';
import { engineEnvironment } from './engine-environment.ts';
import { findModelFolder, type ModelFolder } from './find-model.ts';

/** Not started yet. */
export function makeEngine({ config, logger }: CommandContext, model: ModelFolder): EngineHost {
  return new EngineHost({
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
}

/** The model is loaded when this resolves. @throws what loading throws */
export async function startEngine(
  { logger }: CommandContext,
  { engine, model }: { readonly engine: EngineHost; readonly model: ModelFolder },
): Promise<void> {
  logger.info('loading the model', {
    folder: model.folder,
    ...(model.note === undefined ? {} : { note: model.note }),
  });
  const facts = await engine.start();
  logger.info('model ready', {
    model: facts.modelName,
    device: facts.device,
    reason: facts.deviceReason,
    dtype: facts.dtype,
    load_ms: Math.round(facts.loadMs),
  });
  for (const warning of facts.warnings) logger.warning('about the model', { warning });
}

/** Found, made and started. @throws `model_not_found`, and what loading throws */
export async function openEngine(context: CommandContext): Promise<EngineHost> {
  const model = await findModelFolder(context);
  const engine = makeEngine(context, model);
  try {
    await startEngine(context, { engine, model });
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}
