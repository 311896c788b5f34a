/** Version 0.1.0 as its users have it: the tree of its commit with its own dependencies, made once in the user's cache folder. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../e2e/run-cli.ts';

const run = promisify(execFile);

const COMMIT = '298df1f';
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'text2img', 'test');
const PLACE = join(CACHE, `version-${COMMIT}`);

/** Why it is not there, for the tests that are skipped without it. */
export const NO_OLD_VERSION = `NOT RUN: version 0.1.0 is not to be had: the history of this clone has no commit ${COMMIT} ("git fetch --unshallow" brings it), or "npm ci" failed there. What happens at an upgrade was not tested.`;

/** The folder of version 0.1.0, ready to run; undefined where its commit or its dependencies are not to be had. */
export async function findOldVersion(): Promise<string | undefined> {
  if (existsSync(PLACE)) return PLACE;
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, 'version-'));
  try {
    const archive = join(folder, 'tree.tar');
    await run('git', ['archive', '--output', archive, COMMIT], { cwd: root });
    await run('tar', ['-xf', archive, '-C', folder]);
    await rm(archive);
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder });
    await rename(folder, PLACE);
    return PLACE;
  } catch (error) {
    console.error(`version 0.1.0 could not be prepared: ${error instanceof Error ? error.message : String(error)}`);
    // Another test process may have been faster.
    return existsSync(PLACE) ? PLACE : undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
