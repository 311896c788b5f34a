/** ONNX Runtime keeps the contract, and a process that only looks at devices does not load it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ONNX_RUNTIME } from '../../../src/runtime/onnxruntime/onnx-runtime.ts';
import { runtimeConformance } from '../runtime-conformance.ts';

runtimeConformance(ONNX_RUNTIME, 'cpu');

test('a process that asks for devices does not load the native library; one that opens a network does', () => {
  const registry = new URL('../../../src/runtime/registry.ts', import.meta.url).href;
  const looking = `import { DEFAULT_RUNTIME } from ${JSON.stringify(registry)}; await DEFAULT_RUNTIME.devices({ only: 'cpu' });`;
  const opening = `${looking} await DEFAULT_RUNTIME.open({ model: new Uint8Array() }, { device: 'cpu' }).catch(() => 0);`;
  const isLoaded = 'process.report.getReport().sharedObjects.some((path) => path.includes("onnxruntime"))';
  const loadedBy = (script: string): string =>
    spawnSync(process.execPath, ['--input-type=module', '-e', `${script} console.log(${isLoaded});`], {
      encoding: 'utf8',
    }).stdout;
  assert.equal(loadedBy(looking), 'false\n');
  assert.equal(loadedBy(opening), 'true\n');
});

test('a CUDA provider that is not installed is said without a process for it', {
  skip: process.platform !== 'linux' && 'only Linux loads it from a folder',
}, async () => {
  const [report] = await ONNX_RUNTIME.devices({ only: 'cuda:0', environment: { LD_LIBRARY_PATH: '/nowhere' } });
  assert.deepEqual([report?.device, report?.kind, report?.computeTypes], ['cuda:0', 'gpu', []]);
  assert.match(report?.problem ?? '', /CUDA provider is not installed/);
  assert.match(report?.advice ?? '', /setup cuda/);
});
