/** Options as the program loads them: secret files first. */
import { type LoadSources, loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/options.ts';

export async function loadWithSecrets(sources: LoadSources): Promise<Config> {
  return (await loadConfig(sources)).config;
}
