/** A process that lost its GPU is replaced, whether it says so in a message or in its last words. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EngineHost } from '../../src/engine/engine-host.ts';
import type { EngineJob } from '../../src/engine/engine-job.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { aRequest } from '../job/a-request.ts';
import { cpuSettings } from './cpu-settings.ts';

const childPath = fileURLToPath(new URL('instant-engine-child.ts', import.meta.url));

async function startHost(t: TestContext): Promise<EngineHost> {
  const host = new EngineHost({ settings: cpuSettings('/model'), logger: silentLogger, childPath, respawnMs: 1 });
  t.after(() => host.stop());
  await host.start();
  return host;
}

function job(jobId: string, prompt = jobId): EngineJob {
  return { jobId, request: aRequest({ prompt, seed: 5, numInferenceSteps: 2, widthPx: 16, heightPx: 8 }), images: [] };
}

async function codeOf(result: Promise<unknown>): Promise<string | undefined> {
  return await result.then(
    () => undefined,
    (error: unknown) => (error instanceof Text2ImgError ? error.code : 'internal'),
  );
}

for (const code of ['device_lost', 'device_unavailable', 'engine_crashed'] as const)
  test(`after ${code} all jobs of the process end with it, and the next one has another process`, async (t) => {
    const host = await startHost(t);
    const file = join(await mkdtemp(join(tmpdir(), 'text2img-gpu-')), 'failed');
    const before = host.pid;
    const results = host.generate([job('a', `[once ${code} ${file}]`), job('b', '[slow 50]')]);
    assert.deepEqual(await Promise.all(results.map(codeOf)), [code, code]);
    assert.equal((await host.generate([job('c')])[0]).images.length, 1);
    assert.notEqual(host.pid, before);
  });

test('another failure of a job keeps the process', async (t) => {
  const host = await startHost(t);
  const before = host.pid;
  assert.equal(await codeOf(host.generate([job('a', '[fail]')])[0]), 'inference_failed');
  await host.generate([job('b')])[0];
  assert.equal(host.pid, before);
});

for (const [words, code, says] of [
  [
    "terminate called after throwing an instance of 'onnxruntime::OnnxRuntimeException'\n  what():  cuda_call.cc:97 CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=x ; expr=cudaEventDestroy(read_event_);\n",
    'engine_crashed',
    /illegal memory access/,
  ],
  [
    'Unable to load any of {libcudnn_ops.so.9} Invalid handle. Cannot load symbol cudnnCreateTensorDescriptor\n',
    'device_unavailable',
    /cuDNN is not complete/,
  ],
  ['CUDA error: uncorrectable ECC error encountered\n', 'device_lost', /hardware failed/],
] as const)
  test(`a process that ends with these last words fails its jobs with ${code}: ${words.trim().slice(-60)}`, async (t) => {
    const host = await startHost(t);
    const file = join(await mkdtemp(join(tmpdir(), 'text2img-gpu-')), 'words');
    writeFileSync(file, words);
    await assert.rejects(host.generate([job('a', `[last words ${file}]`)])[0], (error) => {
      assert.ok(error instanceof Text2ImgError);
      assert.equal(error.code, code);
      assert.match(error.message, says);
      return true;
    });
  });
