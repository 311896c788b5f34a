/** A library that is missing, broken or of another release, and a missing koffi: exit 5, with the sentence and the command that mends it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { requireLibrary } from '../../../src/runtime/onnxruntime-c/library.ts';
import { packageLibraryFolder } from '../../../src/runtime/onnxruntime/library-folders.ts';
import { root, runCli } from '../../e2e/run-cli.ts';
import { withoutKoffi } from '../without-koffi.ts';
import { NO_C_API } from './no-c-api.ts';

const LIBRARY = 'libonnxruntime.so.1';
const place = await mkdtemp(join(tmpdir(), 'text2img-c-library-'));
after(() => rm(place, { recursive: true, force: true }));

async function generate(environment: Readonly<Record<string, string>>, runtime = 'onnxruntime-c') {
  const output = join(place, `${Math.random()}.png`);
  const request = ['--prompt', 'a circle', '--width', '64', '--height', '64', '--num-inference-steps', '1'];
  const model = ['--model', join(root, 'models', 'demo'), '--device', 'cpu', '--compile-cache', 'off'];
  const args = ['generate', ...request, ...model, '--seed', '1', '--runtime', runtime, '--output', output];
  return { output, ...(await runCli({ args, environment })) };
}

suite('the library of the C API', { skip: NO_C_API }, () => {
  test('it is the one that the loader gives to the binding: the first on its path, else the package’s', async () => {
    const own = join(packageLibraryFolder(), LIBRARY);
    assert.equal(requireLibrary({}), own);
    assert.equal(requireLibrary({ LD_LIBRARY_PATH: `/nowhere::${place}` }), own);
    const folder = join(place, 'first');
    await mkdir(folder);
    await symlink(own, join(folder, LIBRARY));
    assert.equal(requireLibrary({ LD_LIBRARY_PATH: `/nowhere:${folder}` }), join(folder, LIBRARY));
  });

  test('with a copy on the loader’s path, as setup cuda makes one, both runtimes use the copy and compute the same', async () => {
    const folder = join(place, 'copy');
    await mkdir(folder);
    await copyFile(join(packageLibraryFolder(), LIBRARY), join(folder, LIBRARY));
    const source = (path: string): string =>
      JSON.stringify(new URL(`../../../src/runtime/${path}`, import.meta.url).href);
    const script = `
      import { DEFAULT_RUNTIME, ONNX_RUNTIME_C } from ${source('registry.ts')};
      import { additionGraph } from ${source('addition-graph.ts')};
      const options = { device: 'cpu', computeType: 'float32', threads: 1, use: 'once' };
      const x = { type: 'float32', shape: [2], data: Float32Array.of(1, 2) };
      for (const runtime of [DEFAULT_RUNTIME, ONNX_RUNTIME_C, DEFAULT_RUNTIME]) {
        await using network = await runtime.open(additionGraph('float32'), options);
        console.log([...(await network.run({ x })).y.data].join());
      }
      for (const path of process.report.getReport().sharedObjects) if (path.includes('libonnxruntime.so')) console.log(path);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, LD_LIBRARY_PATH: folder },
    });
    assert.deepEqual(stdout.trim().split('\n'), ['2,4', '2,4', '2,4', join(folder, LIBRARY)], stderr);
  });

  test('a library of another release is refused by name', async () => {
    const folder = join(place, 'other');
    await mkdir(folder);
    const bytes = await readFile(join(packageLibraryFolder(), LIBRARY));
    const version = Buffer.from('\x001.30.0\x00', 'latin1');
    let replaced = 0;
    for (let at = bytes.indexOf(version); at !== -1; at = bytes.indexOf(version, at + 1), replaced++)
      bytes.write('1.29.0', at + 1, 'latin1');
    assert.ok(replaced > 0);
    await writeFile(join(folder, LIBRARY), bytes);
    const { code, stderr } = await generate({ LD_LIBRARY_PATH: folder });
    assert.equal(code, 5, stderr);
    assert.match(stderr, /runtime_unavailable/);
    assert.match(stderr, /of release "1\.29\.0", not 1\.30\.0\. Delete its folder and run "text2img setup cuda"/);
  });

  test('a library that is cut off, or is none, is refused before the loader maps it', async () => {
    const folder = join(place, 'cut');
    await mkdir(folder);
    const path = join(folder, LIBRARY);
    await copyFile(join(packageLibraryFolder(), LIBRARY), path);
    await truncate(path, 1_000_000);
    const { code, stderr } = await generate({ LD_LIBRARY_PATH: folder });
    assert.equal(code, 5, stderr);
    assert.match(stderr, /is not a whole library\. .*take the folder out of LD_LIBRARY_PATH/);
    for (const content of ['', 'no library']) {
      await writeFile(path, content);
      assert.throws(() => requireLibrary({ LD_LIBRARY_PATH: folder }), { code: 'runtime_unavailable' });
    }
  });

  test('without koffi it is refused with the command that brings it; the binding goes on', async () => {
    const environment = await withoutKoffi(place);
    const { code, stderr } = await generate(environment);
    assert.equal(code, 5, stderr);
    assert.match(stderr, /koffi cannot be loaded: Cannot find package .*Run "npm install koffi"/);
    assert.equal((await generate(environment, 'onnxruntime')).code, 0);
  });

  test('with all of them the command makes the bytes of the binding, and its PNG names the runtime', async () => {
    const [c, binding] = [await generate({}), await generate({}, 'onnxruntime')];
    assert.deepEqual([c.code, binding.code], [0, 0], c.stderr);
    const [text, other] = [await readFile(c.output, 'latin1'), await readFile(binding.output, 'latin1')];
    assert.match(text, /Runtime: onnxruntime-c/);
    assert.doesNotMatch(other, /Runtime:/);
    const pixels = (png: string): string => png.slice(png.indexOf('IDAT'));
    assert.equal(pixels(text), pixels(other));
  });
});
