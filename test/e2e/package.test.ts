/**
 * The package in one folder, and `npx` in the clone. The tarball: packed, installed in an empty folder and used to draw, with nothing of the clone
 * in reach. `packed.test.ts` and `fresh-clone.test.ts` install for all folders and link.
 */
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { loadedBy } from './packages-of.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const place = await mkdtemp(join(tmpdir(), 'text2img-package-'));
after(() => rm(place, { recursive: true, force: true }));

const UNREACHABLE = /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN/;

/** Runs a command as somebody in the empty folder would: without the npm settings that the test runner was started with. */
function runInPlace(command: string, args: readonly string[], cwd = place, extra = {}): SpawnSyncReturns<string> {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')),
  );
  return spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...environment, ...extra }, maxBuffer: 1 << 26 });
}

function succeed(result: SpawnSyncReturns<string>, what: string): string {
  assert.equal(result.status, 0, `${what}:\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

succeed(runInPlace('npm', ['run', 'package', '--', '--pack-destination', place], root), 'npm run package');
const [tarball = ''] = readdirSync(place).filter((name) => name.endsWith('.tgz'));

test('the packed tarball installs without scripts in an empty folder and draws a picture', async (t) => {
  await writeFile(join(place, 'package.json'), '{"private":true}\n');
  const install = runInPlace('npm', [
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    `./${tarball}`,
  ]);
  if (UNREACHABLE.test(install.stderr)) {
    t.skip(
      `NOT RUN: installing the tarball, because the npm registry cannot be reached: ${install.stderr.slice(0, 300)}`,
    );
    return;
  }
  succeed(install, 'npm install');

  const version = succeed(runInPlace('npx', ['text2img', '--version']), 'text2img --version').trim();
  assert.equal(version, JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version);
  assert.match(runInPlace('npx', ['text2img', 'generat']).stderr, /Did you mean "npx text2img generate"\?/);

  await writeFile(join(place, 'beat'), '');
  for (const [args, packages] of [
    [['--version'], []],
    [['health', '--heartbeat-file', 'beat'], []],
    [['--help'], ['commander']],
    [['jobs', 'list'], ['commander']],
  ] as const) {
    const loaded = loadedBy({
      args,
      launcher: join(place, 'node_modules/text2img-service/bin/text2img.js'),
      cwd: place,
    });
    assert.ok(loaded.files.includes('dist/cli/entry.js'), 'the hook sees what is loaded');
    assert.deepEqual(loaded.packages, packages, args.join(' '));
  }

  const readme = await readFile(join(place, 'node_modules/text2img-service/README.md'), 'utf8');
  const pages = [...readme.matchAll(/\]\((docs\/[^)#]*)/g)].map(([, page = '']) => page);
  assert.ok(pages.length > 5);
  for (const page of pages) assert.ok(existsSync(join(place, 'node_modules/text2img-service', page)), page);

  const model = 'node_modules/text2img-service/models/demo';
  const options = [
    '--prompt',
    'a red circle on a white background',
    '--seed',
    '0',
    '--num-inference-steps',
    '4',
    '--output',
    'x.png',
  ];
  succeed(runInPlace('npx', ['text2img', 'generate', '--model', model, ...options]), 'text2img generate');
  const png = await readFile(join(place, 'x.png'));
  assert.equal(png.subarray(1, 4).toString('latin1'), 'PNG');
  assert.equal(png.readUInt32BE(16), 256, 'width');
});

test('"npx text2img" starts the program in the clone and below it, without asking a registry', () => {
  const environment = {
    npm_config_cache: join(place, 'empty-cache'),
    npm_config_registry: 'http://127.0.0.1:9/',
    npm_config_fetch_retries: '0',
  };
  for (const folder of [root, join(root, 'docs')]) {
    const help = succeed(runInPlace('npx', ['text2img', '--help'], folder, environment), 'npx text2img --help');
    assert.match(help, /^Usage: npx text2img /);
  }
});
