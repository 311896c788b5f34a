/** Output files: all or nothing, and what is said when they cannot be written. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { outputPaths } from '../../src/cli/generation-options.ts';
import { checkWritable, replaceFile } from '../../src/cli/output-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'text2img-output-'));
after(() => rmSync(folder, { recursive: true }));

test('a file is made, and replaced, and nothing else is left beside it', async () => {
  const path = join(folder, 'x.png');
  await checkWritable(path);
  assert.deepEqual(readdirSync(folder), []);
  await replaceFile(path, Buffer.from('one'));
  await replaceFile(path, Buffer.from('two'));
  assert.equal(readFileSync(path, 'utf8'), 'two');
  assert.deepEqual(readdirSync(folder), ['x.png']);
});

test('checking leaves a file that is there as it is', async () => {
  const path = join(folder, 'kept.png');
  writeFileSync(path, 'kept');
  await checkWritable(path);
  assert.equal(readFileSync(path, 'utf8'), 'kept');
});

test('a name of 255 bytes can be written', async () => {
  const path = join(folder, `${'n'.repeat(251)}.png`);
  await replaceFile(path, Buffer.from('x'));
  assert.equal(readFileSync(path, 'utf8'), 'x');
});

test('a missing folder, a folder as file and a file as folder are named', async () => {
  const missing = join(folder, 'no', 'x.png');
  await assert.rejects(checkWritable(missing), {
    code: 'not_found',
    message: `The folder of the output ${JSON.stringify(missing)} does not exist.`,
  });
  mkdirSync(join(folder, 'sub'));
  await assert.rejects(checkWritable(join(folder, 'sub')), { code: 'store_unwritable', message: /is a folder/ });
  await assert.rejects(checkWritable('/dev/null/x.png'), { code: 'not_found' });
});

test('several pictures are numbered before the ending', () => {
  assert.deepEqual(outputPaths({ output: 'a.b/x.png', seed: 1, numImages: 3 }), [
    'a.b/x-1.png',
    'a.b/x-2.png',
    'a.b/x-3.png',
  ]);
  assert.deepEqual(outputPaths({ output: 'a.b/x', seed: 1, numImages: 2 }), ['a.b/x-1', 'a.b/x-2']);
  assert.deepEqual(outputPaths({ output: undefined, seed: 7, numImages: 1 }), ['./text2img-7.png']);
});
