/** What a command was asked for: its options, and what follows from them alone. */
import { checkTogether } from './check-together.ts';
import { refuseMisnamedPlaces } from './foreign-variables.ts';
import { checkHubVariables } from './hub.ts';
import { type Mode, resolveMode } from './mode.ts';
import { type Config, optionsOf } from './options.ts';
import { type ConfigSources, parseOptions } from './parse.ts';
import { readSecrets } from './secrets.ts';

export type LoadSources = Omit<ConfigSources, 'secrets'>;

export interface Loaded {
  readonly config: Config;
  /** Which queue and store; undefined for commands without a queue, and for `doctor`, which lists a conflict instead of stopping at it. */
  readonly mode: Mode | undefined;
}

/**
 * Everything that can be told from flags, variables and secret files is refused here, before anything is fetched, opened or made.
 * @throws `invalid_option`, `conflicting_options`; for a request's options of `generate` and `enqueue` `invalid_parameter`
 */
export async function loadConfig(sources: LoadSources): Promise<Loaded> {
  return settle({ ...sources, secrets: await readSecrets(sources) });
}

/** The same, with what the secret files hold. */
export function settle(sources: ConfigSources): Loaded {
  const { command, environment } = sources;
  const config = parseOptions(sources);
  const taken = optionsOf(command);
  if (taken.includes('mongoUri')) refuseMisnamedPlaces(environment);
  if (taken.includes('offline')) checkHubVariables(environment);
  const mode = taken.includes('mongoUri') && command !== 'doctor' ? resolveMode(config, environment) : undefined;
  if (command === 'run' && mode !== undefined) checkTogether(config, { mode, environment });
  return { config, mode };
}
