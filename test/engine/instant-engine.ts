/** The engine host with the instant child: real processes and messages, pixels at once. */
import { fileURLToPath } from 'node:url';
import { EngineHost, type EngineHostOptions } from '../../src/engine/engine-host.ts';
import { silentLogger } from '../../src/observability/logger.ts';

const CHILD = fileURLToPath(new URL('instant-engine-child.ts', import.meta.url));

/** Started; disposing it ends its child. */
export async function startInstantEngine(changes: Partial<EngineHostOptions> = {}): Promise<EngineHost> {
  const engine = new EngineHost({
    settings: {
      checkpointFolder: '/instant',
      modelName: null,
      variant: null,
      device: 'cpu',
      dtype: 'auto',
      threads: 0,
      vaeTiling: false,
      compileCacheFolder: null,
    },
    logger: silentLogger,
    childPath: CHILD,
    respawnMs: 1,
    ...changes,
  });
  await engine.start();
  return engine;
}
