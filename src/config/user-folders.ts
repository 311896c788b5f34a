/** The user's folders: where programs keep what they made or fetched. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Environment, processEnvironment } from './environment.ts';
import type { Config } from './schema.ts';

/** Where compiled networks are kept; null: nowhere. */
export function compileCacheFolder(config: Config, environment: Environment = processEnvironment()): string | null {
  if (config.compileCache === 'off') return null;
  if (config.compileCache !== undefined) return config.compileCache;
  const base = environment['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'text2img');
}

/** Where a user's programs keep what they fetched. */
export function dataHome(environment: Environment = processEnvironment()): string {
  const stated = environment['XDG_DATA_HOME'];
  return stated === undefined || stated === '' ? join(homedir(), '.local', 'share') : stated;
}
