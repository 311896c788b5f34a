/** The two places where a new user stands: a fresh clone, and an empty folder with the packed tarball. Each is made as he makes it. */
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { cleanEnvironment, PACKAGE, root, temporaryFolder } from '../run-cli.ts';
import { commandsOfPage } from './commands-of.ts';

export const README_COMMANDS = commandsOfPage(readFileSync(join(root, 'README.md'), 'utf8'));

export interface Place {
  readonly kind: 'clone' | 'package';
  /** The program's own folder: the clone, or its folder in `node_modules`. */
  readonly program: string;
  /** Commands are typed in folders below it. */
  readonly folder: string;
  /** npm's folder for all folders, where the install put the command. */
  readonly prefix: string;
}

/** @throws with a sentence where a place cannot be made on this machine */
export class NoPlaceError extends Error {}

/** Somebody who has neither our settings, nor npm's of the test runner, nor this project's programs on the path. */
export function freshEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(cleanEnvironment()).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      !/^(?:npm_|HF_|XDG_|GOOGLE_|INIT_CWD$|NODE|TEXT2IMG_)|_proxy$|^TRANSFORMERS_|^STORAGE_EMULATOR_HOST$/i.test(
        entry[0],
      ),
  );
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter), ...extra };
}

function run(command: string, args: readonly string[], options: { cwd: string; environment?: Record<string, string> }) {
  const { cwd, environment = {} } = options;
  return spawnSync(command, args, { cwd, env: freshEnvironment(environment), encoding: 'utf8', maxBuffer: 1 << 26 });
}

function succeed(result: SpawnSyncReturns<string>, what: string): string {
  assert.equal(result.status, 0, `${what}:\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

/** `git clone` of what is committed, and over it what would be. `npm link` puts the command on the path. */
export function freshClone(): Place {
  const folder = temporaryFolder();
  const program = join(folder, 'clone');
  const cloned = run('git', ['clone', '--quiet', root, program], { cwd: folder });
  if (cloned.status !== 0) throw new NoPlaceError(`git cannot clone this project: ${cloned.stderr}`);
  const changed = succeed(run('git', ['ls-files', '-z', '-mo', '--exclude-standard'], { cwd: root }), 'git ls-files');
  for (const name of changed.split('\0').filter((one) => one !== '')) replace(join(root, name), join(program, name));
  // Files of their own names, so that nothing that is typed changes those of this project.
  const modules = [join(root, 'node_modules'), join(program, 'node_modules')];
  if (run('cp', ['-al', ...modules], { cwd: folder }).status !== 0)
    succeed(run('cp', ['-a', ...modules], { cwd: folder }), 'cp');
  // As after `npm ci`: nothing was compiled yet.
  rmSync(join(program, 'node_modules/.cache'), { recursive: true, force: true });
  const prefix = join(folder, 'prefix');
  const environment = { npm_config_prefix: prefix, npm_config_offline: 'true' };
  succeed(run('npm', ['link'], { cwd: program, environment }), 'npm link');
  return { kind: 'clone', program, folder: join(program, 'typed'), prefix };
}

function replace(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(dirname(to), { recursive: true });
  try {
    cpSync(from, to, { recursive: true });
  } catch (error) {
    // It was removed and this is not committed yet.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** The install line is README's own. */
export function emptyFolderWithPackage(): Place {
  const folder = temporaryFolder();
  succeed(run('npm', ['run', 'package', '--', '--pack-destination', folder], { cwd: root }), 'npm run package');
  const tarball = `${PACKAGE.name}-${PACKAGE.version}.tgz`;
  const line = README_COMMANDS.find((command) => command.startsWith('npm install ') && command.includes(tarball));
  assert.ok(
    line !== undefined && line.includes('--global'),
    `README has no line that installs ${tarball} for all folders`,
  );
  const prefix = join(folder, 'prefix');
  const environment = {
    npm_config_prefix: prefix,
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
  };
  const installed = run('sh', ['-c', line], { cwd: folder, environment });
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN/.test(installed.stderr))
    throw new NoPlaceError(`the npm registry cannot be reached: ${installed.stderr.slice(0, 300)}`);
  succeed(installed, line);
  return {
    kind: 'package',
    program: join(prefix, 'lib/node_modules', PACKAGE.name),
    folder: join(folder, 'typed'),
    prefix,
  };
}
