/** Where images go: all or nothing, through links, into folders and pipes of standard output, and what is refused before the drawing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { after, test } from 'node:test';
import { checkOutputs, outputPaths, writeImage, writeToStream } from '../../src/cli/output-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'text2img-output-'));
after(() => rmSync(folder, { recursive: true }));

const REPLACE = { mayReplace: true };
const KEEP = { mayReplace: false };
const FILE = { json: false, isTerminal: false, ...REPLACE };
const check = async (path: string): Promise<void> => checkOutputs([path], FILE);
const skip = process.platform === 'win32' ? 'NOT RUN: pipes, sockets and modes of files need a POSIX system' : false;

test('a file is made, and replaced, and nothing else is left beside it', async () => {
  const path = join(folder, 'x.png');
  await check(path);
  assert.deepEqual(readdirSync(folder), []);
  await writeImage(path, Buffer.from('one'), REPLACE);
  await writeImage(path, Buffer.from('two'), REPLACE);
  assert.equal(readFileSync(path, 'utf8'), 'two');
  assert.deepEqual(readdirSync(folder), ['x.png']);
});

test('without clobbering a file that is there is kept: found before the drawing, and once more before it is written', async () => {
  const path = join(folder, 'mine.png');
  await checkOutputs([path], { ...FILE, ...KEEP });
  assert.equal(await writeImage(path, Buffer.from('mine'), KEEP), false);
  const kept = { code: 'invalid_option', message: /mine\.png" exists, and --no-clobber/ };
  await assert.rejects(checkOutputs([join(folder, 'other.png'), path], { ...FILE, ...KEEP }), kept);
  await assert.rejects(writeImage(path, Buffer.from('new'), KEEP), kept);
  assert.equal(readFileSync(path, 'utf8'), 'mine');
  assert.equal(await writeImage(path, Buffer.from('new'), REPLACE), true);
  assert.equal(readFileSync(path, 'utf8'), 'new');
});

test('the ending of another image format is refused with the name to use, every other name is taken', async () => {
  for (const ending of ['.jpg', '.JPEG', '.webp', '.gif', '.tif', '.avif'])
    await assert.rejects(check(join(folder, `x${ending}`)), {
      code: 'invalid_option',
      message: new RegExp(`ends with \\${ending}.*x\\.png`),
    });
  for (const name of ['x', 'x.PNG', 'x.out', 'jpg', 'x.jpg.png']) await check(join(folder, name));
  const odd = join(folder, 'holiday.jpg');
  mkdirSync(odd);
  await checkOutputs(await outputPaths({ output: odd, seed: 3, numImages: 1 }), FILE);
});

test('checking leaves a file that is there as it is', async () => {
  const path = join(folder, 'kept.png');
  writeFileSync(path, 'kept');
  await check(path);
  assert.equal(readFileSync(path, 'utf8'), 'kept');
});

test('a name of 255 bytes can be written, a longer one is a fault of the call', async () => {
  const path = join(folder, `${'n'.repeat(251)}.png`);
  await check(path);
  await writeImage(path, Buffer.from('x'), REPLACE);
  assert.equal(readFileSync(path, 'utf8'), 'x');
  await assert.rejects(check(join(folder, `${'é'.repeat(126)}.png`)), { code: 'invalid_option', message: /too long/ });
  await assert.rejects(check(join(folder, 'x'.repeat(5000))), (error: Error) => error.message.length <= 600);
});

test('a link is written through, whether its file is there or not, and a file keeps its mode', { skip }, async () => {
  mkdirSync(join(folder, 'far'));
  symlinkSync('far/a.png', join(folder, 'one'));
  symlinkSync('one', join(folder, 'two'));
  await check(join(folder, 'two'));
  await writeImage(join(folder, 'two'), Buffer.from('first'), REPLACE);
  assert.equal(readFileSync(join(folder, 'far', 'a.png'), 'utf8'), 'first');
  chmodSync(join(folder, 'far', 'a.png'), 0o640);
  await writeImage(join(folder, 'two'), Buffer.from('second'), REPLACE);
  assert.equal(readFileSync(join(folder, 'far', 'a.png'), 'utf8'), 'second');
  assert.equal(statSync(join(folder, 'far', 'a.png')).mode & 0o777, 0o640);
  assert.ok(lstatSync(join(folder, 'one')).isSymbolicLink() && lstatSync(join(folder, 'two')).isSymbolicLink());
  symlinkSync('round', join(folder, 'round'));
  await assert.rejects(check(join(folder, 'round')), { code: 'store_unwritable', message: /circle/ });
});

test('a pipe, a socket and a device are refused and stay what they are', { skip }, async (t) => {
  const pipe = join(folder, 'pipe.png');
  execFileSync('mkfifo', [pipe]);
  symlinkSync('pipe.png', join(folder, 'to-pipe'));
  const socket = join(folder, 's');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => server.close());
  for (const path of [pipe, join(folder, 'to-pipe'), socket, '/dev/null'])
    await assert.rejects(check(path), { code: 'invalid_option', message: /plain file is needed/ });
  assert.ok(lstatSync(pipe).isFIFO() && lstatSync(socket).isSocket());
});

test('a missing folder and a file as folder are named', async () => {
  const missing = join(folder, 'no', 'x.png');
  await assert.rejects(check(missing), {
    code: 'not_found',
    message: `The folder of the output ${JSON.stringify(missing)} does not exist; make it first, or name a folder that ends with a slash.`,
  });
  await assert.rejects(check('/dev/null/x.png'), { code: 'not_found' });
  await assert.rejects(outputPaths({ output: join(folder, 'x.png', '/'), seed: 1, numImages: 1 }), {
    code: 'store_unwritable',
  });
});

test('several images are numbered before the ending', async () => {
  assert.deepEqual(await outputPaths({ output: 'a.b/x.png', seed: 1, numImages: 3 }), [
    'a.b/x-1.png',
    'a.b/x-2.png',
    'a.b/x-3.png',
  ]);
  assert.deepEqual(await outputPaths({ output: 'a.b/x', seed: 1, numImages: 2 }), ['a.b/x-1', 'a.b/x-2']);
  assert.deepEqual(await outputPaths({ output: undefined, seed: 7, numImages: 1 }), ['./text2img-7.png']);
});

test('a folder gets the usual name, and one that ends with a slash is made', async () => {
  const there = join(folder, 'there');
  mkdirSync(there);
  assert.deepEqual(await outputPaths({ output: there, seed: 5, numImages: 1 }), [join(there, 'text2img-5.png')]);
  const made = join(folder, 'new', 'deep');
  assert.deepEqual(await outputPaths({ output: `${made}/`, seed: 5, numImages: 2 }), [
    join(made, 'text2img-5-1.png'),
    join(made, 'text2img-5-2.png'),
  ]);
  assert.ok(existsSync(made));
});

test('standard output takes one image, not beside JSON, and not a terminal', async () => {
  assert.deepEqual(await outputPaths({ output: '-', seed: 1, numImages: 1 }), ['-']);
  await assert.rejects(outputPaths({ output: '-', seed: 1, numImages: 2 }), { code: 'conflicting_options' });
  await checkOutputs(['-'], FILE);
  await assert.rejects(checkOutputs(['-'], { ...FILE, json: true }), { code: 'conflicting_options' });
  await assert.rejects(checkOutputs(['-'], { ...FILE, isTerminal: true }), {
    code: 'conflicting_options',
    message: /terminal/,
  });
});

test('bytes for a stream are out when the write ends, and a reader that has gone is no error', async () => {
  const stream = new PassThrough();
  const bytes = Buffer.alloc(300_000, 7);
  const got: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => got.push(chunk));
  await writeToStream(stream, bytes);
  assert.ok(Buffer.concat(got).equals(bytes));
  const gone = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('gone'), { code: 'EPIPE' })),
  });
  gone.on('error', () => {});
  await writeToStream(gone, bytes);
  const full = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('full'), { code: 'ENOSPC' })),
  });
  full.on('error', () => {});
  await assert.rejects(writeToStream(full, bytes), { code: 'store_unwritable' });
});
