/** The engine host with the instant child: real processes and messages, pixels at once. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EngineHost, type EngineHostOptions } from '../../src/engine/engine-host.ts';
import { LocalEnginePool } from '../../src/engine/engine-pool.ts';
import type { EngineSettings } from '../../src/engine/protocol.ts';
import { type Logger, silentLogger } from '../../src/observability/logger.ts';
import { cpuSettings } from './cpu-settings.ts';

const CHILD = fileURLToPath(new URL('instant-engine-child.ts', import.meta.url));

export const INSTANT_SETTINGS: EngineSettings = cpuSettings('/instant');

/** Started; disposing it ends its child. */
async function startInstantEngine(changes: Partial<EngineHostOptions> = {}): Promise<EngineHost> {
  const engine = new EngineHost({
    settings: INSTANT_SETTINGS,
    logger: silentLogger,
    childPath: CHILD,
    respawnMs: 1,
    ...changes,
  });
  await engine.start();
  return engine;
}

/** One engine for each of the options; disposing the pool ends them. */
export async function startInstantPool(...engines: readonly Partial<EngineHostOptions>[]): Promise<LocalEnginePool> {
  const hosts = await Promise.all((engines.length === 0 ? [{}] : engines).map(startInstantEngine));
  return new LocalEnginePool({
    engines: hosts.map((host) => [{ id: 'instant', takesUnnamed: true, host }]),
    logger: engines[0]?.logger ?? silentLogger,
    probePauses: { firstMs: 20, maxMs: 50 },
  });
}

export interface InstantModel {
  readonly id: string;
  /** Of its child. */
  readonly changes?: Partial<EngineHostOptions>;
}

interface InstantModelsOptions {
  readonly logger?: Logger;
  readonly idleUnloadMs?: number;
  /** Each swaps all the models. Default: one. */
  readonly engines?: number;
  /** The model of documents that name none. Default: the first. */
  readonly unnamed?: string;
}

/** Engines that swap these models; nothing is loaded yet. Disposing the pool ends their children. */
export function instantModels(
  models: readonly InstantModel[],
  { logger = silentLogger, engines: count = 1, unnamed = models[0]?.id, ...others }: InstantModelsOptions = {},
): { readonly pool: LocalEnginePool; readonly hosts: readonly EngineHost[] } {
  const engines = Array.from({ length: count }, () =>
    models.map(({ id, changes }) => {
      const settings = cpuSettings(`/instant/${id}`);
      const host = new EngineHost({ settings, logger, childPath: CHILD, respawnMs: 1, ...changes });
      return { id, takesUnnamed: id === unnamed, host };
    }),
  );
  const pool = new LocalEnginePool({ engines, logger, probePauses: { firstMs: 20, maxMs: 50 }, ...others });
  return { pool, hosts: engines.flat().map(({ host }) => host) };
}

export interface Ailment {
  /** For the engine's options. */
  readonly environment: NodeJS.ProcessEnv;
  /** What ails the machine from now on, as the instant child's first lines list it; empty: it is well. */
  readonly set: (ailment: string) => Promise<void>;
}

export async function makeAilment(): Promise<Ailment> {
  const file = join(await mkdtemp(join(tmpdir(), 'text2img-engine-')), 'ailment');
  const environment = { ...process.env, INSTANT_ENGINE_AILMENT: file };
  return { environment, set: (ailment) => writeFile(file, ailment) };
}
