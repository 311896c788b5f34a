/** Which runtime the networks run on, with the real libraries where they are there: asked for, measured, missing and broken. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile, copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { checkRuntime, chooseRuntime } from '../../src/engine/child/choose-runtime.ts';
import { buildGraph, proveFit } from '../../src/pipelines/prove-fit.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { isOpenvinoFaster, measurementPath, readMeasurement } from '../../src/runtime/runtime-measurements.ts';
import { C_LIBRARY } from '../../src/runtime/openvino/release.ts';
import { DEFAULT_RUNTIME, openvinoIn } from '../../src/runtime/registry.ts';
import { timePasses } from '../../src/runtime/time-passes.ts';
import { root } from '../e2e/run-cli.ts';
import { NO_C_API } from '../runtime/onnxruntime-c/no-c-api.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from '../runtime/openvino/installed-libraries.ts';

const checkpoint = await openCheckpoint(join(root, 'models', 'demo'), { families: FAMILIES });
proveFit(checkpoint);
const network = {
  graphFor: (computeType: 'float32' | 'float16' | 'bfloat16') => buildGraph(checkpoint, 'unet', { computeType }),
  height: 16,
  width: 16,
  pixels: 8,
};
const device = {
  runtime: DEFAULT_RUNTIME,
  device: 'cpu',
  kind: 'cpu',
  computeType: 'float32',
  reason: 'asked for',
} as const;
const settings = { dtype: 'auto', threads: 1, openvinoFolder: LIBRARY_FOLDER } as const;
const choice = { device, network, minWeightBytes: 0 };

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-choice-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('without libraries ONNX Runtime runs, nothing is measured, nothing is written and nothing is said', async (t) => {
  const folder = await makeFolder(t);
  const compileCacheFolder = join(folder, 'cache');
  const openvinoFolder = join(folder, 'nothing');
  const { runtime, reason, warning } = await chooseRuntime({ ...settings, openvinoFolder, compileCacheFolder }, choice);
  assert.deepEqual([runtime.name, reason, warning], ['onnxruntime', 'OpenVINO is not set up', undefined]);
  assert.equal(existsSync(compileCacheFolder), false);
  assert.throws(() => checkRuntime({ dtype: 'auto', device: 'cpu', runtime: 'openvino', openvinoFolder }), {
    code: 'runtime_unavailable',
    message: /text2img setup openvino/,
  });
});

test('bfloat16 on a processor without it is refused with the allowed types', () => {
  assert.throws(() => checkRuntime({ dtype: 'bfloat16', device: 'auto' }, false), {
    code: 'invalid_option',
    message: /AVX512_BF16.*auto, float32 or float16/,
  });
});

test('a pass of the first candidate is timed in any case, others as long as there is time', async () => {
  const candidate = { runtime: DEFAULT_RUNTIME, graph: network.graphFor('float32') };
  const options = { device: 'cpu', threads: 1, height: 16, width: 16 } as const;
  const short = await timePasses([candidate, candidate], { ...options, budgetMs: 0.001 });
  assert.ok(short.passMs[0] > 0);
  assert.equal(short.passMs[1], undefined);
  assert.equal(short.divisor, 4);
  const long = await timePasses([candidate, candidate], { ...options, budgetMs: 600_000 });
  assert.equal(long.divisor, 1);
  assert.ok((long.passMs[1] ?? 0) > 0);
});

test('the runtimes are measured at the first start, and never again', { skip: NO_OPENVINO }, async (t) => {
  const compileCacheFolder = await makeFolder(t);
  const first = await chooseRuntime({ ...settings, compileCacheFolder }, choice);
  const [name = ''] = await readdir(compileCacheFolder);
  assert.match(name, /^runtime-times-[0-9a-f]{32}\.json$/);
  const path = join(compileCacheFolder, name);
  const { times } = (await readMeasurement(path)) ?? {};
  assert.ok(times !== undefined && times.openvino_ms !== undefined, await readFile(path, 'utf8'));
  assert.equal(first.runtime.name, isOpenvinoFaster(times) ? 'openvino' : 'onnxruntime');
  assert.match(first.reason, /^measured: a pass at 128×128 takes \d+ ms on ONNX Runtime, \d+ ms on OpenVINO/);
  // Figures that nobody measured decide, so they were read.
  for (const [milliseconds, runtime] of [
    [1, 'openvino'],
    [1e9, 'onnxruntime'],
  ] as const) {
    await writeFile(
      path,
      JSON.stringify({ made_by: 'text2img', tries: 1, times: { ...times, openvino_ms: milliseconds } }),
    );
    assert.equal((await chooseRuntime({ ...settings, compileCacheFolder }, choice)).runtime.name, runtime);
  }
});

test('--deterministic, a small network, a GPU and a cache that is off or unusable take ONNX Runtime and measure nothing', {
  skip: NO_OPENVINO,
}, async (t) => {
  const compileCacheFolder = await makeFolder(t);
  const file = join(compileCacheFolder, 'file');
  await writeFile(file, '');
  for (const [changes, changed, reason] of [
    [{ deterministic: true }, {}, /--deterministic/],
    [{}, { minWeightBytes: 1e9 }, /small/],
    [{}, { device: { ...device, device: 'webgpu', kind: 'gpu' as const } }, /the only one/],
    [{ compileCacheFolder: null }, {}, /without a compile cache/],
    [{ compileCacheFolder: file }, {}, /could not be measured/],
    [{ runtime: 'onnxruntime' as const }, {}, /asked for/],
  ] as const) {
    const chosen = await chooseRuntime({ ...settings, compileCacheFolder, ...changes }, { ...choice, ...changed });
    assert.equal(chosen.runtime.name, 'onnxruntime');
    assert.match(chosen.reason, reason);
    assert.equal(chosen.warning, undefined);
  }
  assert.deepEqual(await readdir(compileCacheFolder), ['file']);
});

test('a GPU that answers through the C API takes it; --runtime onnxruntime keeps the binding', {
  skip: NO_C_API,
}, async () => {
  // The library answers with a sum, as it does on a GPU.
  const gpu = { ...device, kind: 'gpu' as const };
  for (const [changes, name, reason] of [
    [{}, 'onnxruntime-c', /stay on the GPU/],
    [{ deterministic: true }, 'onnxruntime-c', /stay on the GPU/],
    [{ runtime: 'onnxruntime' as const }, 'onnxruntime', /asked for/],
    [{ runtime: 'onnxruntime-c' as const }, 'onnxruntime-c', /asked for/],
  ] as const) {
    const chosen = await chooseRuntime({ ...settings, compileCacheFolder: null, ...changes }, { device: gpu, network });
    assert.deepEqual([chosen.runtime.name, chosen.warning], [name, undefined]);
    assert.match(chosen.reason, reason);
  }
});

test('a GPU without the C API, or that lacks the compute type there, takes the binding and says why', {
  skip: NO_C_API,
}, async (t) => {
  const folder = await makeFolder(t);
  const float16 = { ...device, kind: 'gpu' as const, computeType: 'float16' as const };
  const { runtime, reason, warning } = await chooseRuntime(
    { ...settings, compileCacheFolder: null },
    { device: float16, network },
  );
  assert.deepEqual([runtime.name, warning], ['onnxruntime', undefined]);
  assert.match(reason, /C API cannot be used: it does not compute in float16/);
  await writeFile(join(folder, 'libonnxruntime.so.1'), 'no library');
  const before = process.env['LD_LIBRARY_PATH'];
  process.env['LD_LIBRARY_PATH'] = folder;
  t.after(() => {
    if (before === undefined) delete process.env['LD_LIBRARY_PATH'];
    else process.env['LD_LIBRARY_PATH'] = before;
  });
  const gpu = { ...device, kind: 'gpu' as const };
  const broken = await chooseRuntime(
    { ...settings, compileCacheFolder: null, deterministic: true },
    { device: gpu, network },
  );
  assert.equal(broken.runtime.name, 'onnxruntime');
  assert.match(broken.reason, /is not a whole library/);
  assert.match(broken.warning ?? '', /NVIDIA_TF32_OVERRIDE=0/);
  assert.throws(() => checkRuntime({ dtype: 'auto', device: 'cuda:0', runtime: 'onnxruntime-c' }), {
    code: 'runtime_unavailable',
  });
});

/** A folder with OpenVINO's libraries, of which one is damaged. */
async function damaged(t: TestContext, damage: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(await makeFolder(t), 'openvino');
  await mkdir(folder);
  for (const name of await readdir(LIBRARY_FOLDER)) await symlink(join(LIBRARY_FOLDER, name), join(folder, name));
  await damage(folder);
  return folder;
}

const ONNX_FRONTEND = 'libopenvino_onnx_frontend.so.2641';
const CORE = 'libopenvino.so.2641';

for (const [title, damage] of [
  [
    'is cut off',
    async (folder: string) => {
      await rm(join(folder, CORE));
      await copyFile(join(LIBRARY_FOLDER, CORE), join(folder, CORE));
      await truncate(join(folder, CORE), 1_000_000);
    },
  ],
  ['lacks its ONNX frontend', (folder: string) => rm(join(folder, ONNX_FRONTEND))],
  [
    'has a library of another release',
    async (folder: string) => {
      await rm(join(folder, CORE));
      await copyFile(join(LIBRARY_FOLDER, ONNX_FRONTEND), join(folder, CORE));
    },
  ],
] as const) {
  test(`OpenVINO that ${title} is refused where it is asked for; auto goes on with ONNX Runtime and says so`, {
    skip: NO_OPENVINO,
  }, async (t) => {
    const openvinoFolder = await damaged(t, damage);
    assert.throws(() => checkRuntime({ dtype: 'auto', device: 'cpu', runtime: 'openvino', openvinoFolder }), {
      code: 'runtime_unavailable',
      message: /libopenvino.*text2img setup openvino/,
    });
    const compileCacheFolder = await makeFolder(t);
    const { runtime, warning = '' } = await chooseRuntime({ ...settings, openvinoFolder, compileCacheFolder }, choice);
    assert.equal(runtime.name, 'onnxruntime');
    assert.match(warning, /OpenVINO is not used: .*text2img setup openvino/);
    assert.deepEqual(await readdir(compileCacheFolder), []);
  });
}

test('OpenVINO whose library has its size and does not load is refused where it is asked for; auto goes on, also where it was measured to be faster', {
  skip: NO_OPENVINO,
}, async (t) => {
  const openvinoFolder = await damaged(t, async (folder) => {
    const { size } = await stat(join(LIBRARY_FOLDER, C_LIBRARY));
    await rm(join(folder, C_LIBRARY));
    await writeFile(join(folder, C_LIBRARY), Buffer.alloc(size));
  });
  await assert.rejects(openOnCpu(network.graphFor('float32'), undefined, openvinoIn(openvinoFolder)), {
    code: 'runtime_unavailable',
    message: /could not be loaded: .*text2img setup openvino/,
  });
  const compileCacheFolder = await makeFolder(t);
  const choose = () => chooseRuntime({ ...settings, openvinoFolder, compileCacheFolder }, choice);
  const isRefused = ({ runtime, reason, warning = '' }: Awaited<ReturnType<typeof choose>>): void => {
    assert.deepEqual([runtime.name, reason], ['onnxruntime', 'OpenVINO is broken']);
    assert.match(warning, /could not be loaded: .*text2img setup openvino.* ONNX Runtime is used instead\.$/);
  };
  isRefused(await choose());
  // So it is measured as soon as the library is mended.
  assert.deepEqual(await readdir(compileCacheFolder), []);
  const path = measurementPath(compileCacheFolder, network.graphFor('float32'), settings.threads);
  const times = { width: 128, height: 128, onnxruntime_ms: 1000, openvino_ms: 1, measured_at: 'today' };
  await writeFile(path, JSON.stringify({ made_by: 'text2img', tries: 1, times }));
  isRefused(await choose());
});

test('auto after a measurement in which OpenVINO failed, or ended the process twice, says that it is not used', {
  skip: NO_OPENVINO,
}, async (t) => {
  const compileCacheFolder = await makeFolder(t);
  const path = measurementPath(compileCacheFolder, network.graphFor('float32'), settings.threads);
  for (const [kept, reason, said] of [
    [{ tries: 1, problem: 'no such operator', failed_at: new Date().toISOString() }, /no such operator/, /it failed/],
    [{ tries: 2 }, /ended the engine twice/, /ended the engine twice/],
  ] as const) {
    await writeFile(path, JSON.stringify({ made_by: 'text2img', ...kept }));
    const chosen = await chooseRuntime({ ...settings, compileCacheFolder }, choice);
    assert.equal(chosen.runtime.name, 'onnxruntime');
    assert.match(chosen.reason, reason);
    assert.match(chosen.warning ?? '', said);
    assert.match(chosen.warning ?? '', /^OpenVINO is not used.* Run "text2img doctor"/);
  }
});
