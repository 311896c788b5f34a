/** Containers often run as a number that no list of users knows, and without HOME. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { launcher, root, temporaryFolder } from './run-cli.ts';

const STRANGER = 54_321;
const AS_STRANGER = [`--reuid=${STRANGER}`, `--regid=${STRANGER}`, '--clear-groups'];

function whyNot(): string | false {
  const reads = spawnSync('setpriv', [...AS_STRANGER, 'test', '-r', launcher]);
  return reads.status === 0
    ? false
    : `NOT RUN: another user without a home; it takes root, setpriv, and a clone (${root}) that others may read`;
}

async function runAsStranger(
  args: readonly string[],
  cwd: string,
  temporary: string,
): Promise<{ code: number | null; stderr: string }> {
  const child = spawn('setpriv', [...AS_STRANGER, process.execPath, launcher, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], TMPDIR: temporary },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr })));
}

function openFolder(name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  chmodSync(path, 0o1777);
  return path;
}

const folder = temporaryFolder();
chmodSync(folder, 0o755);
const SMALL = ['--prompt', 'a', '--width', '64', '--height', '64', '--num-inference-steps', '1', '--output', 'x.png'];

test('a user in no list and without HOME draws, with one warning, and the temporary folder takes the place of the home', {
  skip: whyNot(),
}, async () => {
  const temporary = openFolder('tmp');
  const { code, stderr } = await runAsStranger(['generate', ...SMALL], openFolder('cwd'), temporary);
  assert.equal(code, 0, stderr);
  assert.equal(stderr.split('\n').filter((line) => line.includes('no home folder')).length, 1, stderr);
  const home = join(temporary, `text2img-home-${STRANGER}`);
  assert.equal(statSync(home).mode & 0o777, 0o700);
  assert.equal(statSync(home).uid, STRANGER);
  for (const args of [['models', 'list'], ['doctor']])
    assert.notEqual((await runAsStranger(args, folder, temporary)).code, 70, args.join(' '));
  assert.deepEqual(
    readdirSync(temporary).filter((name) => name.startsWith('text2img-home')),
    [`text2img-home-${STRANGER}`],
  );
});

test('a home that somebody else has put into the temporary folder is not used', { skip: whyNot() }, async () => {
  const temporary = openFolder('tmp2');
  const squatted = join(temporary, `text2img-home-${STRANGER}`);
  mkdirSync(squatted);
  chmodSync(squatted, 0o777);
  const { code, stderr } = await runAsStranger(['generate', ...SMALL], openFolder('cwd2'), temporary);
  assert.equal(code, 0, stderr);
  assert.deepEqual(readdirSync(squatted), []);
  assert.ok(existsSync(join(folder, 'cwd2', 'x.png')));
});
