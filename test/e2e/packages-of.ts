/** Which packages a command loads, as Node resolves them: a hook that is loaded before the program writes them down, in the program's own process. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanEnvironment, PACKAGE } from './run-cli.ts';

/** Also what is loaded by `require`. Children inherit the hook and are told apart by their channel to the parent. */
const HOOK = `import { registerHooks } from 'node:module';
import { writeFileSync } from 'node:fs';
const urls = new Set();
registerHooks({
  load(url, context, next) {
    urls.add(url);
    return next(url, context);
  },
});
process.on('exit', () => {
  const isProgram = process.argv[1]?.endsWith('text2img.js');
  if (isProgram) writeFileSync(process.env.TEXT2IMG_TEST_LOADED, JSON.stringify([...urls]));
});
`;

export interface LoadedOptions {
  readonly args: readonly string[];
  readonly launcher: string;
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: 0. */
  readonly exitCode?: number;
}

export interface Loaded {
  /** In alphabetical order. */
  readonly packages: readonly string[];
  /** Modules of all kinds, Node's own left out. */
  readonly modules: number;
  /** Files of our own, from `src/` or `dist/`. */
  readonly files: readonly string[];
}

export function loadedBy({ args, launcher, cwd, environment = {}, exitCode = 0 }: LoadedOptions): Loaded {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-loaded-'));
  try {
    const hook = join(folder, 'hook.mjs');
    const list = join(folder, 'loaded.json');
    writeFileSync(hook, HOOK);
    const result = spawnSync(process.execPath, ['--import', hook, launcher, ...args], {
      cwd,
      encoding: 'utf8',
      env: cleanEnvironment({ ...environment, TEXT2IMG_TEST_LOADED: list }),
    });
    assert.equal(result.status, exitCode, `${args.join(' ')}: ${result.stderr}`);
    const urls = (JSON.parse(readFileSync(list, 'utf8')) as string[]).filter((url) => url.startsWith('file:'));
    const packages = new Set(urls.map(packageOf).filter((name) => name !== undefined));
    const files = urls
      .filter((url) => packageOf(url) === undefined)
      .map((url) => /\/((?:src|dist)\/.*)$/.exec(url)?.[1]);
    return {
      packages: [...packages].toSorted(),
      modules: urls.length,
      files: files.filter((file) => file !== undefined),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Undefined for a file of our own, which lies in `node_modules` too where the program is installed. */
function packageOf(url: string): string | undefined {
  const name = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  return name === PACKAGE.name ? undefined : name;
}
