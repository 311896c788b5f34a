/** Options as the program loads them: secret files first. */
import { type ConfigSources, loadConfig, readSecrets } from '../../src/config/parse.ts';
import type { Config } from '../../src/config/options.ts';

export async function loadWithSecrets(sources: ConfigSources): Promise<Config> {
  return loadConfig({ ...sources, secrets: await readSecrets(sources) });
}
