/**
 * The user's folders: where programs keep what they made or fetched. Containers often run as a number that no list of users knows and without
 * HOME; then the temporary folder takes its place.
 */
import { mkdtempSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { makePrivateFolder, privateFolderFor } from '../lib/private-folder.ts';
import { type Environment, stated } from './environment.ts';
import type { Config } from './options.ts';

/** Undefined: this user has none. */
function statedHome(environment: Environment): string | undefined {
  const given = stated(environment, 'HOME') ?? stated(environment, 'USERPROFILE');
  if (given !== undefined) return given;
  try {
    const { homedir } = userInfo();
    return homedir === '' ? undefined : homedir;
  } catch {
    // "uv_os_get_passwd returned ENOENT": a number that is in no list.
    return undefined;
  }
}

/** Then the temporary folder takes its place. */
export function lacksHome(environment: Environment): boolean {
  return statedHome(environment) === undefined;
}

/** Always a folder; the user's own, or one of the temporary folder that only this user may write. */
function homeFolder(environment: Environment): string {
  return statedHome(environment) ?? temporaryHome();
}

/** `~` and `~/x` as a shell would read them. */
export function expandHome(path: string, environment: Environment): string {
  return path === '~' || path.startsWith('~/') ? join(homeFolder(environment), path.slice(1)) : path;
}

let made: string | undefined;

/** The same for every process of this user, unless somebody else has taken the name: what lies in it is trusted. */
function temporaryHome(): string {
  made ??= makeTemporaryHome();
  return made;
}

function makeTemporaryHome(): string {
  const path = privateFolderFor('home');
  return makePrivateFolder(path) ? path : mkdtempSync(`${path}-`);
}

/** `XDG_CACHE_HOME`. */
export function cacheHome(environment: Environment): string {
  const given = stated(environment, 'XDG_CACHE_HOME');
  return given === undefined ? join(homeFolder(environment), '.cache') : expandHome(given, environment);
}

/** Where compiled networks are kept; null: nowhere. */
export function compileCacheFolder(config: Config, environment: Environment): string | null {
  if (config.compileCache === 'off') return null;
  return config.compileCache ?? join(cacheHome(environment), 'text2img');
}

/** Where a user's programs keep what they fetched: `XDG_DATA_HOME`. */
export function dataHome(environment: Environment): string {
  const given = stated(environment, 'XDG_DATA_HOME');
  return given === undefined ? join(homeFolder(environment), '.local', 'share') : expandHome(given, environment);
}
