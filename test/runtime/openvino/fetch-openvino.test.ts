/** `setup openvino` from a local server: whole or not at all, mended where it is broken, and shared by processes that run it at once. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { zipSync } from 'fflate';
import { fetchOpenvino } from '../../../src/runtime/openvino/fetch-openvino.ts';
import { openvinoLibraryFolder } from '../../../src/runtime/openvino/library-folder.ts';
import { C_LIBRARY, type OpenvinoBuild } from '../../../src/runtime/openvino/release.ts';
import { verifyLibraries } from '../../../src/runtime/openvino/verify-libraries.ts';

const FRONTEND = 'libopenvino_onnx_frontend.so.2641';
const FILES = new Map<string, Uint8Array>([
  [C_LIBRARY, new Uint8Array(300_000).map((_, index) => (index * index) % 251)],
  [FRONTEND, new Uint8Array(1000).fill(3)],
]);

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function buildOf(archive: Uint8Array): OpenvinoBuild {
  return {
    wheel: { path: 'a/openvino.whl', sha256: sha256(archive), sizeBytes: archive.length },
    files: Array.from(FILES, ([name, bytes]) => ({ name, sizeBytes: bytes.length, sha256: sha256(bytes) })),
  };
}

const archive = zipSync({
  ...Object.fromEntries(Array.from(FILES, ([name, bytes]) => [`openvino/libs/${name}`, bytes])),
  'openvino/libs/libopenvino_intel_gpu_plugin.so': new Uint8Array(10),
  'openvino/__init__.py': new Uint8Array(10),
  'openvino-1.dist-info/licenses/LICENSE': new Uint8Array(7),
});
const build = buildOf(archive);

async function serve(t: TestContext, body: Uint8Array): Promise<{ packagesUrl: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { packagesUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked };
}

async function makeHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'text2img-openvino-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

const WANTED = ['LICENSE', C_LIBRARY, FRONTEND].toSorted();

test('only the libraries for a CPU and the licence are kept, and a second call downloads nothing', async (t) => {
  const dataHome = await makeHome(t);
  const { packagesUrl, asked } = await serve(t, archive);
  const folder = openvinoLibraryFolder(dataHome);
  assert.deepEqual(await fetchOpenvino({ dataHome, packagesUrl, build }), { folder, result: 'downloaded' });
  assert.deepEqual((await readdir(folder)).toSorted(), WANTED);
  assert.deepEqual(await fetchOpenvino({ dataHome, packagesUrl, build }), { folder, result: 'present' });
  assert.deepEqual(asked, ['/a/openvino.whl']);
});

for (const [title, damage] of [
  ['cut off', (folder: string) => truncate(join(folder, C_LIBRARY), 1000)],
  ['removed', (folder: string) => rm(join(folder, FRONTEND))],
  ['changed', (folder: string) => writeFile(join(folder, FRONTEND), new Uint8Array(1000).fill(4))],
  ['a folder', (folder: string) => rm(join(folder, FRONTEND)).then(() => mkdir(join(folder, FRONTEND)))],
] as const) {
  test(`a library that was ${title} is downloaded again, and said to be broken`, async (t) => {
    const dataHome = await makeHome(t);
    const { packagesUrl } = await serve(t, archive);
    const { folder } = await fetchOpenvino({ dataHome, packagesUrl, build });
    await damage(folder);
    const problems: (string | undefined)[] = [];
    const onBegin = (_: OpenvinoBuild, problem: string | undefined): void => void problems.push(problem);
    assert.deepEqual(await fetchOpenvino({ dataHome, packagesUrl, build, onBegin }), { folder, result: 'mended' });
    assert.match(String(problems), /libopenvino_/);
    assert.equal((await verifyLibraries(folder, build)).state, 'good');
    assert.deepEqual(await readdir(dirname(folder)), ['openvino-2026.4.1']);
  });
}

test('a file in the folder’s place is replaced', async (t) => {
  const dataHome = await makeHome(t);
  const { packagesUrl } = await serve(t, archive);
  const folder = openvinoLibraryFolder(dataHome);
  await mkdir(dirname(folder), { recursive: true });
  await writeFile(folder, 'a file');
  assert.equal((await fetchOpenvino({ dataHome, packagesUrl, build })).result, 'mended');
});

test('an archive that lacks a library, a wrong checksum and a server that is not there keep nothing', async (t) => {
  const dataHome = await makeHome(t);
  const incomplete = zipSync({ [`openvino/libs/${C_LIBRARY}`]: FILES.get(C_LIBRARY) as Uint8Array });
  for (const [attempt, code] of [
    [{ ...(await serve(t, incomplete)), build: buildOf(incomplete) }, 'runtime_unavailable'],
    [{ ...(await serve(t, incomplete)), build }, 'download_failed'],
    [{ packagesUrl: 'http://127.0.0.1:9/', build }, 'download_failed'],
  ] as const) {
    await assert.rejects(fetchOpenvino({ dataHome, ...attempt }), { code });
    assert.deepEqual(await readdir(join(dataHome, 'text2img')), []);
  }
});

test('what is broken stays where nothing better can be downloaded', async (t) => {
  const dataHome = await makeHome(t);
  const { packagesUrl } = await serve(t, archive);
  const { folder } = await fetchOpenvino({ dataHome, packagesUrl, build });
  await rm(join(folder, FRONTEND));
  await assert.rejects(fetchOpenvino({ dataHome, packagesUrl: 'http://127.0.0.1:9/', build }), {
    code: 'download_failed',
    message: /Without a network copy .*openvino-2026\.4\.1 from another machine/,
  });
  assert.deepEqual(await readFile(join(folder, C_LIBRARY)), Buffer.from(FILES.get(C_LIBRARY) as Uint8Array));
});

test('several that download at once all end with a whole folder, also over a broken one', async (t) => {
  const dataHome = await makeHome(t);
  const { packagesUrl } = await serve(t, archive);
  const folder = openvinoLibraryFolder(dataHome);
  for (const isBroken of [false, true]) {
    if (isBroken) await truncate(join(folder, C_LIBRARY), 10);
    await Promise.all(Array.from({ length: 5 }, () => fetchOpenvino({ dataHome, packagesUrl, build })));
    assert.equal((await verifyLibraries(folder, build)).state, 'good');
    assert.deepEqual(await readdir(dirname(folder)), ['openvino-2026.4.1']);
  }
});

const isRoot = process.getuid?.() === 0;
const skip = isRoot && process.platform === 'linux' ? false : 'NOT RUN: a small disk needs root';
test('a full disk is named with the room that is needed, and nothing is left on it', { skip }, async (t) => {
  const dataHome = await mkdtemp(join(tmpdir(), 'text2img-openvino-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dataHome]);
    t.after(() => execFileSync('umount', [dataHome]));
  } catch (error) {
    t.skip(`NOT RUN: no small disk can be mounted: ${String(error)}`);
    return;
  } finally {
    t.after(() => rm(dataHome, { recursive: true, force: true }));
  }
  const { packagesUrl } = await serve(t, archive);
  await assert.rejects(fetchOpenvino({ dataHome, packagesUrl, build }), { code: 'disk_full', message: /1 MB/ });
  assert.deepEqual(await readdir(join(dataHome, 'text2img')), []);
});
