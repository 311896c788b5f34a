/** Which form the networks of an engine have. No GPU is at hand: the runtime says that it has one, and keeps the graphs that it is to open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../src/engine/child/load-model.ts';
import { chooseForm } from '../../src/engine/child/choose-form.ts';
import { formText } from '../../src/engine/doctor-probes.ts';
import type { EngineSettings } from '../../src/engine/protocol.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { omitUndefined } from '../../src/lib/omit-undefined.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { additionGraph } from '../../src/runtime/addition-graph.ts';
import type { Runtime } from '../../src/runtime/contract.ts';
import { ONNX_RUNTIME } from '../../src/runtime/onnxruntime/onnx-runtime.ts';
import { onnxRuntimeC } from '../../src/runtime/onnxruntime-c/onnxruntime-c.ts';
import { tryInChild } from '../../src/runtime/try-in-child.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';
import { cpuSettings } from './cpu-settings.ts';

const base = fileURLToPath(new URL('../golden/base', import.meta.url));

interface Loaded {
  /** Of the graphs that the engine opens, without repetitions. */
  readonly opened: readonly string[];
  readonly form: ModelFacts['form'];
  readonly warnings: readonly string[];
  /** What the runtime was asked for. */
  readonly trials: readonly boolean[];
}

/** @param fusedProblem what a trial with the fused form finds; default: nothing */
async function load(settings: Partial<EngineSettings>, device: string, fusedProblem?: string): Promise<Loaded> {
  const opened: BuiltGraph[] = [];
  const trials: boolean[] = [];
  const runtime: Runtime = {
    ...ONNX_RUNTIME,
    devices: async ({ triesFusedForm = false } = {}) => {
      trials.push(triesFusedForm);
      const facts = { device, kind: device === 'cpu' ? 'cpu' : 'gpu', computeTypes: ['float32', 'float16'] } as const;
      return [{ ...facts, ...(triesFusedForm ? omitUndefined({ fusedProblem }) : {}) }];
    },
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
  const { form } = model.facts;
  // The checkpoint has warnings of its own.
  const warnings = model.facts.warnings.filter((warning) => warning.includes(' form'));
  return { opened: [...new Set(opened.map((graph) => graph.form ?? 'portable'))], form, warnings, trials };
}

/** The forms of the graphs that the engine opens, which its facts name on a GPU. */
async function formsOf(settings: Partial<EngineSettings>, device: string): Promise<readonly string[]> {
  const { opened, form, warnings } = await load(settings, device);
  assert.deepEqual([form, warnings.length], [device === 'cpu' ? undefined : opened[0], 0]);
  return opened;
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

test('a GPU that cannot run the fused form gets the portable one, with a warning that has the reason', async () => {
  // A real failure: the child tries it on the CPU, which has none of its operators.
  const child = new URL('../../src/runtime/onnxruntime/try-device-child.ts', import.meta.url);
  const tried = await tryInChild({ child, parameters: ['cpu'], triesFusedForm: true });
  assert.deepEqual(tried.computeTypes, ['float32']);
  assert.ok(tried.fusedProblem !== undefined);
  const { opened, form, warnings } = await load({}, 'cuda:0', tried.fusedProblem);
  assert.deepEqual([opened, form], [['portable'], 'portable']);
  assert.deepEqual(warnings, [
    `The networks run in the portable form, which is slower. The device cuda:0 has trouble with the fused form: ${tried.fusedProblem}.`,
  ]);
});

test('the fused form is tried once, and not at all where the settings or the device rule it out', async () => {
  const times = async (settings: Partial<EngineSettings>, device: string): Promise<number> =>
    (await load(settings, device)).trials.filter((triesFusedForm) => triesFusedForm).length;
  assert.equal(await times({}, 'cuda:0'), 1);
  for (const settings of [{ graphForm: 'portable' }, { deterministic: true }] as const)
    assert.equal(await times(settings, 'cuda:0'), 0);
  for (const device of ['cpu', 'webgpu']) assert.equal(await times({}, device), 0);
});

test('an engine asks nobody again about a device that its runtime has just tried', async () => {
  const devices = (): never => assert.fail('it was asked');
  const runtime: Runtime = { ...ONNX_RUNTIME, devices };
  const report = { device: 'cuda:0', kind: 'gpu', computeTypes: ['float16'] } as const;
  assert.deepEqual(await chooseForm({ runtime, device: 'cuda:0', report }, {}), { form: 'fused' });
  const trouble = { ...report, fusedProblem: 'in float16 it failed' };
  assert.equal((await chooseForm({ runtime, device: 'cuda:0', report: trouble }, {})).form, 'portable');
});

test('doctor says which form a device has, and why not the faster one', () => {
  const facts = { kind: 'gpu', computeTypes: ['float32'] } as const;
  assert.equal(formText({ ...facts, device: 'cpu' }), '');
  assert.equal(formText({ ...facts, device: 'webgpu' }), '');
  assert.match(formText({ ...facts, device: 'cuda:1' }), /fused form$/);
  const trouble = formText({ ...facts, device: 'cuda:1', fusedProblem: 'in float16 it failed' });
  assert.match(trouble, /portable form, which is slower.*: in float16 it failed$/);
});
