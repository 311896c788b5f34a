/** Two real engines on OpenVINO: what happens to one of them is no matter of the other. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type TestContext, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EngineHost, type EngineHostOptions } from '../../src/engine/engine-host.ts';
import type { EngineJob } from '../../src/engine/engine-job.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { aRequest } from '../job/a-request.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from '../runtime/openvino/installed-libraries.ts';
import { cpuSettings } from './cpu-settings.ts';

const demo = fileURLToPath(new URL('../../models/demo', import.meta.url));

/** @param first of the first engine */
async function startTwo(t: TestContext, first: Partial<EngineHostOptions> = {}): Promise<[EngineHost, EngineHost]> {
  const start = async (options: Partial<EngineHostOptions>): Promise<EngineHost> => {
    const settings = cpuSettings(demo, { runtime: 'openvino', openvinoFolder: LIBRARY_FOLDER, threads: 1 });
    const host = new EngineHost({ settings, logger: silentLogger, respawnMs: 1, ...options });
    t.after(() => host.stop());
    assert.equal((await host.start()).runtime, 'openvino');
    return host;
  };
  return [await start(first), await start({})];
}

function job(jobId: string, changes: Partial<ResolvedGenerationRequest> = {}): EngineJob {
  const request = { prompt: 'a blue star', negativePrompt: '', seed: 1, numInferenceSteps: 2, guidanceScale: 4 };
  return { jobId, request: aRequest({ ...request, widthPx: 64, heightPx: 64, ...changes }), images: [] };
}

async function pixelsOf(host: EngineHost, asked: EngineJob): Promise<Uint8Array> {
  const [result] = host.generate([asked]);
  return Uint8Array.from((await result).images[0]?.image.pixels ?? []);
}

/** @returns whether this machine can set such a limit */
function limitAddresses({ pid }: EngineHost, bytes: number | 'unlimited'): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const size = 1024 * Number(/^VmSize:\s*(\d+) kB$/m.exec(status)?.[1]);
  const limit = bytes === 'unlimited' ? bytes : String(size + bytes);
  return spawnSync('prlimit', ['--pid', String(pid), `--as=${limit}:unlimited`]).status === 0;
}

const skip =
  NO_OPENVINO !== false
    ? NO_OPENVINO
    : process.platform === 'linux'
      ? false
      : 'NOT TESTED: two engines on OpenVINO; needs /proc and signals';

suite('two engines on OpenVINO', { skip }, () => {
  test('one that runs out of memory fails its job, and works again when there is some; the other goes on', async (t) => {
    const [short, other] = await startTwo(t);
    const expected = await pixelsOf(other, job('before'));
    if (!limitAddresses(short, 20e6)) return t.skip('NOT TESTED: too little memory; prlimit does not work here');
    const [failing, going] = await Promise.allSettled([
      pixelsOf(short, job('large', { widthPx: 1024, heightPx: 1024 })),
      pixelsOf(other, job('beside')),
    ]);
    assert.equal(failing.status, 'rejected');
    assert.match((failing.reason as { code: string }).code, /^(?:engine_out_of_memory|engine_crashed)$/);
    assert.deepEqual(going.status === 'fulfilled' && going.value, expected);
    limitAddresses(short, 'unlimited');
    assert.deepEqual(await pixelsOf(short, job('again')), expected);
  });

  test('one that stands still is ended and replaced; the other goes on meanwhile', async (t) => {
    const [stalled, other] = await startTwo(t, { stallMs: 10_000 });
    const expected = await pixelsOf(other, job('before'));
    const { pid } = stalled;
    assert.ok(pid !== undefined);
    let isStopped = false;
    const [failing] = stalled.generate([job('long', { numInferenceSteps: 500 })], {
      onProgress: (_, { step }) => {
        if (step < 2 || isStopped) return;
        isStopped = true;
        process.kill(pid, 'SIGSTOP');
      },
    });
    const ended = assert.rejects(failing, { code: 'engine_stalled' });
    for (let image = 0; image < 3; image++) assert.deepEqual(await pixelsOf(other, job(`beside-${image}`)), expected);
    await ended;
    assert.deepEqual(await pixelsOf(stalled, job('again')), expected);
    assert.notEqual(stalled.pid, pid);
  });
});
