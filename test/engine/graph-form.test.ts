/** Which form the networks of an engine have. No GPU is at hand: the runtime says that it has one, and keeps the graphs that it is to open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../src/engine/child/load-model.ts';
import type { EngineSettings } from '../../src/engine/protocol.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { additionGraph } from '../../src/runtime/addition-graph.ts';
import type { Runtime } from '../../src/runtime/contract.ts';
import { ONNX_RUNTIME } from '../../src/runtime/onnxruntime/onnx-runtime.ts';
import { onnxRuntimeC } from '../../src/runtime/onnxruntime-c/onnxruntime-c.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';
import { cpuSettings } from './cpu-settings.ts';

const base = fileURLToPath(new URL('../golden/base', import.meta.url));

/** The forms of the graphs that the engine opens, without repetitions. */
async function formsOf(settings: Partial<EngineSettings>, device: string): Promise<readonly string[]> {
  const opened: BuiltGraph[] = [];
  const runtime: Runtime = {
    ...ONNX_RUNTIME,
    devices: async () => [{ device, kind: device === 'cpu' ? 'cpu' : 'gpu', computeTypes: ['float32', 'float16'] }],
    open: async (graph) => {
      opened.push(graph);
      // Something that can be closed.
      return await openOnCpu(additionGraph('float32'));
    },
  };
  await using model = await loadModel({ ...cpuSettings(base), runtime: 'onnxruntime', ...settings, device }, FAMILIES, [
    runtime,
  ]);
  assert.equal(model.facts.device, device);
  assert.ok(opened.length > 0);
  return [...new Set(opened.map(({ form = 'portable' }) => form))];
}

test('CUDA takes the fused form in float16 and in float32, for each network', async () => {
  assert.deepEqual(await formsOf({}, 'cuda:0'), ['fused']);
  assert.deepEqual(await formsOf({ dtype: 'float32' }, 'cuda:0'), ['fused']);
});

test('--graph-form portable and --deterministic turn it off', async () => {
  assert.deepEqual(await formsOf({ graphForm: 'portable' }, 'cuda:0'), ['portable']);
  assert.deepEqual(await formsOf({ deterministic: true }, 'cuda:0'), ['portable']);
});

test('the CPU and WebGPU take the portable form', async () => {
  for (const device of ['cpu', 'webgpu']) assert.deepEqual(await formsOf({}, device), ['portable']);
});

test('both of ONNX Runtime’s runtimes have the fused form for every CUDA device', () => {
  for (const runtime of [ONNX_RUNTIME, onnxRuntimeC()]) {
    assert.equal(runtime.graphForm?.('cuda:3'), 'fused');
    assert.equal(runtime.graphForm?.('cpu'), 'portable');
  }
});
