/** The trial of the fused form. There is no GPU here: the CPU runs it spelled out, and fails with CUDA's own operators. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { SPELLED_OUT_DOMAIN } from '../../src/onnx/graph-form.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import { createSession } from '../../src/runtime/onnxruntime/session.ts';
import { tryDevice } from '../../src/runtime/onnxruntime/try-device.ts';
import { float32 } from '../../src/runtime/tensors.ts';
import { type FusedTrial, tryFusedForm } from '../../src/runtime/try-fused-form.ts';
import { type DeviceAnswer, tryInChild } from '../../src/runtime/try-in-child.ts';
import { NO_C_API } from './onnxruntime-c/no-c-api.ts';
import { openOnCpu } from './open-on-cpu.ts';

const BOTH = ['float32', 'float16'] as const;
const onCpu = async (graph: BuiltGraph): ReturnType<typeof openOnCpu> => await openOnCpu(graph);

/** The CPU, where the fused form is opened by `openFused`. */
async function problemWith(openFused: FusedTrial['open']): Promise<string | undefined> {
  return await tryFusedForm({
    computeTypes: BOTH,
    fusedDomain: SPELLED_OUT_DOMAIN,
    open: async (graph) => await (graph.form === 'fused' ? openFused(graph) : openOnCpu(graph)),
  });
}

test('the forms agree on a CPU, with the operators spelled out', async () => {
  assert.equal(await tryFusedForm({ computeTypes: BOTH, open: onCpu, fusedDomain: SPELLED_OUT_DOMAIN }), undefined);
});

test('a device without the operators has a problem with the first type', async () => {
  // Past our own check, so that ONNX Runtime itself says what it lacks.
  const provider = { name: 'cpu' } as const;
  const open: FusedTrial['open'] = async (graph) => await createSession(graph, { provider, threads: 1, spin: false });
  const problem = (await tryFusedForm({ computeTypes: BOTH, open })) ?? '';
  assert.match(problem, /^in float32 it failed: ONNX Runtime failed: /);
  assert.match(problem, /NhwcConv|GroupNorm|SkipGroupNorm|BiasAdd|BiasSplitGelu/);
});

test('a failure in float16 alone is a problem, and says the type', async () => {
  const problem = await problemWith(async (graph) => {
    if (graph.computeType === 'float16') throw new Text2ImgError('inference_failed', 'no engine was found.');
    return await openOnCpu(graph);
  });
  assert.equal(problem, 'in float16 it failed: no engine was found');
});

test('numbers that are not finite are a problem', async () => {
  const problem = await problemWith(async (graph) => ({
    run: async () => ({ latents_out: float32(Float32Array.of(1, Number.NaN), [2]) }),
    [Symbol.asyncDispose]: async () => assert.ok(graph.form === 'fused'),
  }));
  assert.equal(problem, 'in float32 it gave numbers that are not finite');
});

test('a full GPU, and a portable form that fails as well, are no problem of the fused form', async () => {
  const full = new Text2ImgError('engine_out_of_memory', 'the GPU has no memory left.');
  assert.equal(await problemWith(() => Promise.reject(full)), undefined);
  const trial: FusedTrial = {
    computeTypes: BOTH,
    fusedDomain: SPELLED_OUT_DOMAIN,
    open: async (graph) => {
      if (graph.form === undefined) throw new Text2ImgError('inference_failed', 'it failed.');
      return await openOnCpu(graph);
    },
  };
  assert.equal(await tryFusedForm(trial), undefined);
});

const childOf = (runtime: string): URL => new URL(`../../src/runtime/${runtime}/try-device-child.ts`, import.meta.url);

for (const [runtime, skip] of [
  ['onnxruntime', false],
  ['onnxruntime-c', NO_C_API],
] as const) {
  test(`${runtime}: a child that is asked for it tries the fused form, and its sum stays good`, { skip }, async () => {
    const trial = { child: childOf(runtime), parameters: ['cpu'] };
    const { fusedProblem, ...answer } = await tryInChild({ ...trial, triesFusedForm: true });
    assert.deepEqual(answer, { computeTypes: ['float32'] });
    assert.match(fusedProblem ?? '', /^in float32 it failed: a graph in the fused form runs on CUDA only/);
    assert.deepEqual(await tryInChild(trial), { computeTypes: ['float32'] });
  });
}

/** Tries the CPU in a child whose fused trial is `fused`, TypeScript of an async function. */
async function answerOf(t: TestContext, fused: string, add = 'tryDevice'): Promise<DeviceAnswer> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-trial-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const source = (name: string): string => JSON.stringify(new URL(`../../src/runtime/${name}`, import.meta.url).href);
  const program = join(folder, 'child.mjs');
  await writeFile(
    program,
    `import { answerTrial } from ${source('answer-trial.ts')};
     import { tryDevice } from ${source('onnxruntime/try-device.ts')};
     await answerTrial({ add: ${add}, tryFused: async () => { ${fused} } });`,
  );
  return await tryInChild({ child: pathToFileURL(program), parameters: ['cpu'], triesFusedForm: true });
}

test('a fused form that ends the process leaves the sum as it was, and says how', async (t) => {
  assert.deepEqual((await tryDevice('cpu')).computeTypes, ['float32']);
  for (const [fused, said] of [
    [
      "process.kill(process.pid, 'SIGSEGV'); await new Promise((resolve) => setTimeout(resolve, 60_000));",
      'signal SIGSEGV',
    ],
    [
      "process.stderr.write('CUDA error 700: an illegal memory access was encountered'); process.abort();",
      'CUDA’s work on the GPU failed (illegal memory access)',
    ],
  ] as const) {
    const { computeTypes, problem, fusedProblem = '' } = await answerOf(t, fused);
    assert.deepEqual([computeTypes, problem], [['float32'], undefined]);
    assert.ok(fusedProblem.startsWith(`it ended the process that tried it: ${said}`), fusedProblem);
  }
});

test('a fused form that runs has no problem', async (t) => {
  assert.deepEqual(await answerOf(t, ''), { computeTypes: ['float32'] });
});

test('a process that ends while it adds has no device, and the fused form is not tried where nothing was added', async (t) => {
  const ended = await answerOf(t, '', "async () => process.kill(process.pid, 'SIGSEGV')");
  assert.deepEqual(ended, { computeTypes: [], problem: 'the process that tried it ended: signal SIGSEGV' });
  const nothing = await answerOf(t, 'process.abort();', "async () => ({ computeTypes: [], problem: 'no GPU' })");
  assert.deepEqual(nothing, { computeTypes: [], problem: 'no GPU' });
});
