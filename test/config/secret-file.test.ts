/** Secrets out of files, links and pipes. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadWithSecrets } from './load-with-secrets.ts';
import { readSecretFile } from '../../src/config/secret-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'text2img-secret-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function mongoUriOf(path: string, more: Record<string, string> = {}): Promise<string | undefined> {
  const environment = { MONGO_URI_FILE: path, GCS_BUCKET: 'pictures', ...more };
  return (await loadWithSecrets({ command: 'jobs', flags: {}, environment })).mongoUri;
}

test('a secret comes out of a file or a link to one, without white space at its ends and a byte order mark', async () => {
  const plain = file('uri', 'mongodb://h/d\r\n');
  assert.equal(await mongoUriOf(plain), 'mongodb://h/d');
  assert.equal(await mongoUriOf(file('bom', '\ufeffmongodb://h/d')), 'mongodb://h/d');
  mkdirSync(join(folder, '..data'));
  writeFileSync(join(folder, '..data', 'uri'), 'mongodb://linked/d');
  // As Kubernetes and Docker mount them.
  symlinkSync('..data/uri', join(folder, 'mounted'));
  assert.equal(await mongoUriOf(join(folder, 'mounted')), 'mongodb://linked/d');
  assert.equal(await mongoUriOf('~/uri', { HOME: folder }), 'mongodb://h/d');
});

test('the variable itself beats its file', async () => {
  assert.equal(
    await mongoUriOf(file('loser', 'mongodb://h/d'), { MONGO_URI: 'mongodb://other/d' }),
    'mongodb://other/d',
  );
});

const bad: readonly (readonly [title: string, content: string | Uint8Array, says: RegExp])[] = [
  ['an empty file', '', /is empty/],
  ['a file with a line end only', '\n', /is empty/],
  ['UTF-16', Buffer.from('\ufeffmongodb://h/hunter2', 'utf16le'), /UTF-8/],
  ['UTF-16 without a mark', Buffer.from('mongodb://h/hunter2', 'utf16le'), /NUL/],
  ['a NUL in it', 'mongodb://h/hunter2\0', /NUL/],
  ['Latin-1', Buffer.from('mongodb://h/hunter2é', 'latin1'), /UTF-8/],
  ['quotation marks', '"mongodb://h/hunter2"', /quotation mark/],
  ['a line of an env file', 'MONGO_URI=mongodb://h/hunter2', /variable’s name/],
  ['two lines', 'mongodb://h/hunter2\nmongodb://h/e', /white space/],
  ['a web page of a megabyte', `<html>hunter2${'x'.repeat(1_000_000)}`, /at most 65536/],
];
for (const [title, content, says] of bad) {
  test(`${title} is refused by the variable's name, without a word of it`, async () => {
    await assert.rejects(mongoUriOf(file('bad', content)), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'invalid_option');
      assert.match(error.message, /^MONGO_URI_FILE /);
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  });
}

test('a missing file, a folder and a device are refused by the variable’s name', async () => {
  for (const path of [join(folder, 'no'), folder, '/dev/zero'])
    await assert.rejects(mongoUriOf(path), { code: 'invalid_option', message: /^MONGO_URI_FILE cannot be read/ });
});

const skip = process.platform === 'win32' ? 'NOT RUN: named pipes need a POSIX system' : false;

test('a pipe is read until its writer closes it, also in pieces and when the writer comes late', { skip }, async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const writer = spawn('sh', ['-c', 'sleep 0.2; (printf "mongodb://h/"; sleep 0.2; printf "late\\n") > "$0"', pipe]);
  assert.equal(await mongoUriOf(pipe), 'mongodb://h/late');
  writer.kill();
});

test('the shell’s <(command) is such a pipe', { skip }, () => {
  const script = `const { loadConfig } = await import(${JSON.stringify(new URL('../../src/config/load.ts', import.meta.url).href)});
const sources = { command: 'jobs', flags: { gcsBucket: 'pictures' }, environment: process.env };
console.log((await loadConfig(sources)).config.mongoUri);`;
  const out = execFileSync('bash', [
    '-c',
    'MONGO_URI_FILE=<(echo mongodb://h/substituted) "$0" --input-type=module -e "$1"',
    process.execPath,
    script,
  ]);
  assert.equal(out.toString().trim(), 'mongodb://h/substituted');
});

test('a pipe that nobody writes, or nobody closes, is given up', { skip }, async () => {
  const pipe = join(folder, 'dead');
  execFileSync('mkfifo', [pipe]);
  const read = () => readSecretFile('X_FILE', pipe, { pipePatienceMs: 200 });
  await assert.rejects(read(), { code: 'invalid_option', message: /^X_FILE cannot be read: the pipe was not written/ });
  const writer = spawn('sh', ['-c', 'exec 3> "$0"; printf half >&3; exec sleep 60', pipe], { stdio: 'ignore' });
  try {
    await assert.rejects(read(), {
      code: 'invalid_option',
      message: /^X_FILE cannot be read: the pipe was not written/,
    });
  } finally {
    writer.kill('SIGKILL');
  }
});

test('an endless pipe is given up at once', { skip }, async () => {
  const pipe = join(folder, 'endless');
  execFileSync('mkfifo', [pipe]);
  const writer = spawn('sh', ['-c', 'exec yes > "$0"', pipe]);
  try {
    await assert.rejects(readSecretFile('X_FILE', pipe), { code: 'invalid_option', message: /more than 65536/ });
  } finally {
    writer.kill('SIGKILL');
  }
});
