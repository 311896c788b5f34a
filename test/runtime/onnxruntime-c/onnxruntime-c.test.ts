/** ONNX Runtime through its C API keeps the contract, and a process that only looks at devices does not load it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ONNX_RUNTIME_C } from '../../../src/runtime/registry.ts';
import { runtimeConformance } from '../runtime-conformance.ts';
import { NO_C_API } from './no-c-api.ts';

if (NO_C_API === false) runtimeConformance(ONNX_RUNTIME_C, 'cpu');
else test('the contract of a runtime: onnxruntime-c on cpu', { skip: NO_C_API });

test('a process that asks for devices does not load the library', { skip: NO_C_API }, () => {
  const registry = new URL('../../../src/runtime/registry.ts', import.meta.url).href;
  const looking = `import { ONNX_RUNTIME_C } from ${JSON.stringify(registry)}; await ONNX_RUNTIME_C.devices({ only: 'cpu' });`;
  const isLoaded = 'process.report.getReport().sharedObjects.some((path) => /onnxruntime|koffi/.test(path))';
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `${looking} console.log(${isLoaded});`],
    { encoding: 'utf8' },
  );
  assert.equal(stdout, 'false\n', stderr);
});

test('a CUDA provider that is not installed is said without a process for it; other devices are none of its', {
  skip: NO_C_API,
}, async () => {
  const environment = { LD_LIBRARY_PATH: '/nowhere' };
  const [report] = await ONNX_RUNTIME_C.devices({ only: 'cuda:0', environment });
  assert.deepEqual([report?.device, report?.kind, report?.computeTypes], ['cuda:0', 'gpu', []]);
  assert.match(report?.problem ?? '', /CUDA provider is not installed/);
  assert.deepEqual(await ONNX_RUNTIME_C.devices({ only: 'webgpu', environment }), []);
});
