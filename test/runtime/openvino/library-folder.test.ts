/** The folder of OpenVINO's libraries: found whole, or refused with what is wrong and what mends it. The files here are small ones of our own. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  findLibraries,
  openvinoLibraryFolder,
  requireLibraries,
} from '../../../src/runtime/openvino/library-folder.ts';
import { C_LIBRARY, type OpenvinoBuild, openvinoBuild } from '../../../src/runtime/openvino/release.ts';
import { verifyLibraries } from '../../../src/runtime/openvino/verify-libraries.ts';

const CONTENT = new Map([
  [C_LIBRARY, 'the C API'],
  ['libopenvino_onnx_frontend.so.2641', 'reads ONNX'],
]);

const build: OpenvinoBuild = {
  wheel: { path: '', sha256: '', sizeBytes: 0 },
  files: Array.from(CONTENT, ([name, text]) => ({
    name,
    sizeBytes: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
  })),
};

async function wholeFolder(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'text2img-openvino-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  const folder = openvinoLibraryFolder(home);
  await mkdir(folder, { recursive: true });
  for (const [name, text] of CONTENT) await writeFile(join(folder, name), text);
  return folder;
}

test('a whole folder gives the path of the C library', async (t) => {
  const folder = await wholeFolder(t);
  assert.equal(requireLibraries(folder, build), join(folder, C_LIBRARY));
  assert.deepEqual(await verifyLibraries(folder, build), { state: 'good', cLibrary: join(folder, C_LIBRARY) });
});

test('a folder that is missing is refused with the command that fills it', async (t) => {
  const folder = `${await wholeFolder(t)}-elsewhere`;
  assert.equal(findLibraries(folder, build).state, 'missing');
  assert.throws(() => requireLibraries(folder, build), { code: 'runtime_unavailable', message: /setup openvino/ });
});

test('a library that was cut off or removed is named', async (t) => {
  const folder = await wholeFolder(t);
  await truncate(join(folder, C_LIBRARY), 3);
  assert.throws(() => requireLibraries(folder, build), {
    code: 'runtime_unavailable',
    message: /libopenvino_c\.so\.2641 has 3 bytes, but OpenVINO .* has 9.*setup openvino/,
  });
  await rm(join(folder, C_LIBRARY));
  assert.throws(() => requireLibraries(folder, build), { message: /libopenvino_c\.so\.2641 is missing/ });
});

test('a library with other bytes of the same size is found by its checksum', async (t) => {
  const folder = await wholeFolder(t);
  await writeFile(join(folder, C_LIBRARY), 'THE C API');
  assert.equal(findLibraries(folder, build).state, 'good');
  assert.match(JSON.stringify(await verifyLibraries(folder, build)), /broken.*SHA-256 differs/);
});

test('a machine that OpenVINO is not set up for is named', () => {
  assert.equal(openvinoBuild('win32', 'ia32'), undefined);
  assert.equal(
    openvinoBuild('linux', 'x64')?.files.some(({ name }) => name === C_LIBRARY),
    true,
  );
});
