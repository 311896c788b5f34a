/** The launcher. A Node that is too old: npm installs without warnings, and the pinned Node gets everything that the launcher was given. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'node:test';
import { cleanEnvironment, launcher, root, temporaryFolder } from './run-cli.ts';

function findOldNode(): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return candidates.find((path) => {
    if (!existsSync(path)) return false;
    const [major = 0] = execFileSync(path, ['-p', 'process.versions.node']).toString().split('.').map(Number);
    return major < 24;
  });
}

const oldNode = findOldNode();
const skip = oldNode === undefined ? 'NOT RUN: the launcher under an old Node; there is none below 24 in PATH' : false;

test('pipes of the shell reach the program through the launcher of an old Node', { skip }, () => {
  const run = (command: string): string =>
    execFileSync('bash', ['-c', `${command} 2>&1 || true`, oldNode ?? '', launcher], {
      env: cleanEnvironment(),
    }).toString();
  // Refused for what the pipe gave, so it was read.
  assert.match(
    run('MONGO_URI_FILE=<(echo postgres://h/d) GCS_BUCKET=pictures "$0" "$1" jobs list'),
    /MONGO_URI_FILE \(not shown\).*does not begin/,
  );
  assert.match(
    run('MONGO_URI_FILE=/dev/fd/77 GCS_BUCKET=pictures "$0" "$1" jobs list'),
    /MONGO_URI_FILE cannot be read.*does not exist/,
  );
  assert.match(run('"$0" "$1" enqueue <(echo "{}")'), /"text"|text/);
});

const oldNpm = join(dirname(oldNode ?? ''), 'npm');
const skipNpm = skip || (existsSync(oldNpm) ? false : 'NOT RUN: npm under an old Node; there is none beside it');

test('"npm ci" under an old Node prints no engine warnings, because .npmrc shows errors only', {
  skip: skipNpm,
}, () => {
  const environment = Object.fromEntries(
    Object.entries(cleanEnvironment()).filter(([name]) => !name.startsWith('npm_')),
  );
  const PATH = `${dirname(oldNode ?? '')}${delimiter}${environment['PATH']}`;
  const install = (option: string): string =>
    execFileSync('bash', ['-c', `"$0" ci --dry-run --offline ${option} 2>&1`, oldNpm], {
      cwd: root,
      env: { ...environment, PATH },
    }).toString();
  assert.match(install('--loglevel=warn'), /EBADENGINE/);
  assert.doesNotMatch(install(''), /EBADENGINE|npm warn/i);
});

test('a clone in which nothing is installed says "npm ci", under an old Node and a new one', () => {
  const clone = temporaryFolder();
  for (const path of ['bin/text2img.js', 'package.json', 'src/cli/entry.ts']) {
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    copyFileSync(join(root, path), join(clone, path));
  }
  for (const node of [process.execPath, oldNode].filter((path) => path !== undefined)) {
    const { status, stderr } = spawnSync(node, [join(clone, 'bin/text2img.js'), '--help'], { encoding: 'utf8' });
    assert.equal(status, 5);
    assert.equal(stderr, `text2img: nothing is installed in this clone yet; run "npm ci" in ${clone}/ first.\n`);
  }
});
