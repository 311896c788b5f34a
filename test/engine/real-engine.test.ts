/** The whole engine: the real child with the demo checkpoint. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test, type TestContext } from 'node:test';
import { EngineHost } from '../../src/engine/engine-host.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { silentLogger } from '../../src/observability/logger.ts';

const demo = fileURLToPath(new URL('../../models/demo', import.meta.url));

function startHost(t: TestContext, checkpointFolder = demo): EngineHost {
  const settings = {
    checkpointFolder,
    device: 'cpu',
    dtype: 'auto',
    threads: 0,
    modelName: null,
    variant: null,
    vaeTiling: false,
    compileCacheFolder: null,
    verifyCache: 'changed',
  } as const;
  const host = new EngineHost({ settings, logger: silentLogger });
  t.after(() => host.stop());
  return host;
}

const REQUEST: ResolvedGenerationRequest = {
  prompt: 'a blue star',
  negativePrompt: '',
  seed: 1,
  numInferenceSteps: 2,
  guidanceScale: 4,
  widthPx: 64,
  heightPx: 32,
  numImages: 1,
  scheduler: 'DDIMScheduler',
};

test('the demo checkpoint loads, tells its facts and draws pictures of the size asked for', async (t) => {
  const host = startHost(t);
  const facts = await host.start();
  assert.deepEqual(
    [facts.modelName, facts.defaultWidthPx, facts.defaultScheduler, facts.device],
    ['demo', 256, 'DDIMScheduler', 'cpu'],
  );
  const result = await host.generate([{ jobId: 'a', request: { ...REQUEST, numImages: 2 } }]).get('a');
  assert.deepEqual(
    result?.images.map(({ seed, widthPx, heightPx, rgb }) => [seed, widthPx, heightPx, rgb.length]),
    [
      [1, 64, 32, 64 * 32 * 3],
      [2, 64, 32, 64 * 32 * 3],
    ],
  );
});

test('a request that cannot be drawn fails alone, with a sentence', async (t) => {
  const host = startHost(t);
  await host.start();
  const jobs = host.generate([
    { jobId: 'bad', request: { ...REQUEST, widthPx: 100 } },
    { jobId: 'good', request: REQUEST },
  ]);
  await assert.rejects(
    jobs.get('bad') as Promise<unknown>,
    (error) => error instanceof Text2ImgError && error.code === 'invalid_parameter' && error.message.includes('100'),
  );
  assert.equal((await jobs.get('good'))?.images.length, 1);
});

test('cancelling takes effect at the next step of the real network', async (t) => {
  const host = startHost(t);
  await host.start();
  let lastStep = 0;
  const job = host.generate([{ jobId: 'a', request: { ...REQUEST, numInferenceSteps: 500 } }], {
    onProgress: (_, { step }) => {
      lastStep = step;
      if (step === 3) host.cancel('a');
    },
  });
  await assert.rejects(
    job.get('a') as Promise<unknown>,
    (error) => error instanceof Text2ImgError && error.code === 'cancelled',
  );
  // The message is on its way while the next step is drawn, on a loaded machine while a few are.
  assert.ok(lastStep < 50, `it went on to step ${lastStep}`);
});

test('kill -9 of the child that draws is told, and the retried job gives the same pixels', async (t) => {
  const host = startHost(t);
  await host.start();
  const expected = await host.generate([{ jobId: 'a', request: REQUEST }]).get('a');
  const killed = host.generate([{ jobId: 'b', request: { ...REQUEST, numInferenceSteps: 500 } }], {
    onProgress: (_, { step }) => {
      if (step === 1 && host.pid !== undefined) process.kill(host.pid, 'SIGKILL');
    },
  });
  await assert.rejects(
    killed.get('b') as Promise<unknown>,
    (error) => error instanceof Text2ImgError && error.retryable && error.message.includes('SIGKILL'),
  );
  const again = await host.generate([{ jobId: 'a', request: REQUEST }]).get('a');
  assert.deepEqual(again?.images, expected?.images);
});

test('a checkpoint folder that does not exist is told with its code', async (t) => {
  const host = startHost(t, '/nowhere');
  await assert.rejects(
    host.start(),
    (error) => error instanceof Text2ImgError && error.code === 'model_not_found' && error.message.includes('/nowhere'),
  );
});
