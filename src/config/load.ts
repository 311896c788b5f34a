/** The configuration of a command: its options, and what follows from them alone. */
import type { QueueMode } from './mode.ts';
import { type Config, optionsOf } from './options.ts';
import { WORKING } from './options/option-spec.ts';
import { type ConfigSources, parseOptions } from './parse.ts';
import { readSecrets } from './secrets.ts';

export type LoadSources = Omit<ConfigSources, 'secrets'>;

export interface Loaded {
  readonly config: Config;
  /** Which queue; undefined for commands without a queue, and for `doctor`, which lists a conflict instead of stopping at it. */
  readonly mode: QueueMode | undefined;
}

/**
 * Refuses here every error that flags, variables and secret files show, before anything is fetched, opened or made.
 * @throws `invalid_option`, `conflicting_options`; for a request's options of `generate` and `enqueue` `invalid_parameter`
 */
export async function loadConfig(sources: LoadSources): Promise<Loaded> {
  return settle({ ...sources, secrets: await readSecrets(sources) });
}

/** The same, with what the secret files hold. */
export async function settle(sources: ConfigSources): Promise<Loaded> {
  const { command, environment } = sources;
  const config = parseOptions(sources);
  const taken = optionsOf(command);
  const hasQueue = taken.includes('mongoUri');
  if (hasQueue) (await import('./foreign-variables.ts')).refuseMisnamedPlaces(environment);
  if (taken.includes('offline')) (await import('./hub.ts')).checkHubVariables(environment);
  if (!hasQueue || command === 'doctor') return { config, mode: undefined };
  const { resolveMode, resolveQueueMode } = await import('./mode.ts');
  // A command that reads or writes images needs the store as well.
  const hasWorker = WORKING.some((one) => one === command);
  if (!hasWorker && !config.adopt) return { config, mode: resolveQueueMode(config, environment) };
  const mode = resolveMode(config, environment);
  if (hasWorker) (await import('./check-together.ts')).checkTogether(config, { mode, environment });
  if (command === 'serve') (await import('./check-server.ts')).checkServer(config);
  return { config, mode };
}
