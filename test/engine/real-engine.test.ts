/** The whole engine: the real child with the demo checkpoint. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EngineHost } from '../../src/engine/engine-host.ts';
import type { EngineJob } from '../../src/engine/engine-job.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { RawImage } from '../../src/job/raw-image.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { cpuSettings } from './cpu-settings.ts';
import { aRequest } from '../job/a-request.ts';

const demo = fileURLToPath(new URL('../../models/demo', import.meta.url));

function startHost(t: TestContext, checkpointFolder = demo): EngineHost {
  const settings = cpuSettings(checkpointFolder);
  const host = new EngineHost({ settings, logger: silentLogger });
  t.after(() => host.stop());
  return host;
}

const REQUEST: ResolvedGenerationRequest = aRequest({
  prompt: 'a blue star',
  negativePrompt: '',
  seed: 1,
  numInferenceSteps: 2,
  guidanceScale: 4,
  widthPx: 64,
  heightPx: 32,
  numImages: 1,
  scheduler: 'DDIMScheduler',
});

function job(jobId: string, changes: Partial<ResolvedGenerationRequest> = {}): EngineJob {
  return { jobId, request: { ...REQUEST, ...changes }, images: [] };
}

test('the demo checkpoint loads, tells its facts and draws pictures of the size asked for', async (t) => {
  const host = startHost(t);
  const facts = await host.start();
  assert.deepEqual(
    [facts.modelName, facts.defaultWidthPx, facts.defaults, facts.device],
    ['demo', 256, { negativePrompt: '', scheduler: 'DDIMScheduler' }, 'cpu'],
  );
  const result = await host.generate([job('a', { numImages: 2 })])[0];
  assert.deepEqual(
    result.images.map(({ seed, image }) => [seed, image.widthPx, image.heightPx, image.channels, image.pixels.length]),
    [
      [1, 64, 32, 3, 64 * 32 * 3],
      [2, 64, 32, 3, 64 * 32 * 3],
    ],
  );
  for (const stage of ['load', 'encode', 'denoise', 'decode'] as const)
    assert.ok((result.durationsMs[stage] ?? -1) >= 0, stage);
  assert.ok((result.durationsMs.denoise ?? 0) > 0 && (result.durationsMs.decode ?? 0) > 0);
});

test('a request that cannot be drawn fails alone, with a sentence', async (t) => {
  const host = startHost(t);
  await host.start();
  const [bad, good] = host.generate([job('bad', { widthPx: 100 }), job('good')]);
  await assert.rejects(
    bad,
    (error) => error instanceof Text2ImgError && error.code === 'invalid_parameter' && error.message.includes('100'),
  );
  assert.equal((await good).images.length, 1);
});

test('an input image that the model does not read is refused, not ignored', async (t) => {
  const host = startHost(t);
  await host.start();
  const image = { widthPx: 1, heightPx: 1, channels: 3, pixels: Uint8Array.of(1, 2, 3) } as const;
  const [refused, good] = host.generate([{ ...job('refused'), images: [image] }, job('good')]);
  await assert.rejects(
    refused,
    (error) =>
      error instanceof Text2ImgError && error.code === 'invalid_parameter' && /input image/.test(error.message),
  );
  await good;
});

test('a watched job shows what its image looks like so far', async (t) => {
  const host = startHost(t, fileURLToPath(new URL('../golden/base', import.meta.url)));
  await host.start();
  const previews: RawImage[] = [];
  const [a] = host.generate([job('a', { numInferenceSteps: 20 })], {
    onPreview: (_, image) => {
      previews.push(image);
      host.watch('a', false);
    },
  });
  host.watch('a', true);
  const [result] = (await a).images;
  assert.equal(previews.length, 1);
  const [preview] = previews;
  assert.equal((preview?.widthPx ?? 0) * 32, (preview?.heightPx ?? 0) * 64, 'of the shape of the image');
  assert.ok((preview?.widthPx ?? 0) < (result?.image.widthPx ?? 0));
  assert.ok(new Set(preview?.pixels).size > 1, 'not one grey');
});

test('a watched image has the bytes of one that nobody watches, and its last preview looks like it', async (t) => {
  const host = startHost(t);
  await host.start();
  const prompt = 'a red circle on a white background';
  const request = { prompt, numInferenceSteps: 20, guidanceScale: 4, widthPx: 256, heightPx: 256 };
  const [unwatched] = (await host.generate([job('a', request)])[0]).images;
  const previews: RawImage[] = [];
  const [watching] = host.generate([job('b', request)], {
    // One a second at most: the one that is due next is shown by the step after.
    onProgress: (jobId) => {
      host.watch(jobId, false);
      host.watch(jobId, true);
    },
    onPreview: (_, image) => previews.push(image),
  });
  const [watched] = (await watching).images;
  assert.ok(watched !== undefined && unwatched !== undefined);
  assert.deepEqual(watched, unwatched);
  const last = previews.at(-1);
  assert.ok(last !== undefined && previews.length > 1);
  const small = shrunk(watched.image, last.widthPx);
  const distance = (shown: Uint8Array): number =>
    shown.reduce((sum, value, index) => sum + Math.abs(value - (small[index] ?? 0)), 0) / small.length;
  assert.ok(distance(last.pixels) < 20, `the last preview is ${distance(last.pixels)} levels away`);
  const grey = distance(new Uint8Array(small.length).fill(128));
  assert.ok(distance(last.pixels) < grey / 3, `grey is ${grey} levels away`);
});

test('cancelling takes effect at the next step of the real network', async (t) => {
  const host = startHost(t);
  await host.start();
  let lastStep = 0;
  const [a] = host.generate([job('a', { numInferenceSteps: 500 })], {
    onProgress: (_, { step }) => {
      lastStep = step;
      if (step === 3) host.cancel('a');
    },
  });
  await assert.rejects(a, (error) => error instanceof Text2ImgError && error.code === 'cancelled');
  // The message is on its way while the next step is drawn, on a loaded machine while a few are.
  assert.ok(lastStep < 50, `it went on to step ${lastStep}`);
});

test('kill -9 of the child that draws is told, and the retried job gives the same pixels', async (t) => {
  const host = startHost(t);
  await host.start();
  const expected = await host.generate([job('a')])[0];
  const [killed] = host.generate([job('b', { numInferenceSteps: 500 })], {
    onProgress: (_, { step }) => {
      if (step === 1 && host.pid !== undefined) process.kill(host.pid, 'SIGKILL');
    },
  });
  await assert.rejects(
    killed,
    (error) => error instanceof Text2ImgError && error.retryable && error.message.includes('SIGKILL'),
  );
  const again = await host.generate([job('a')])[0];
  assert.deepEqual(again.images, expected.images);
});

test('a checkpoint folder that does not exist is told with its code', async (t) => {
  const host = startHost(t, '/nowhere');
  await assert.rejects(
    host.start(),
    (error) => error instanceof Text2ImgError && error.code === 'model_not_found' && error.message.includes('/nowhere'),
  );
});

/** The means of equal squares. */
function shrunk({ widthPx, pixels }: RawImage, sidePx: number): number[] {
  const scale = widthPx / sidePx;
  const means = Array<number>(sidePx * sidePx * 3).fill(0);
  for (const [index, value] of pixels.entries()) {
    const [colour, place] = [index % 3, Math.floor(index / 3)];
    const [x, y] = [Math.floor((place % widthPx) / scale), Math.floor(Math.floor(place / widthPx) / scale)];
    const at = (y * sidePx + x) * 3 + colour;
    means[at] = (means[at] ?? 0) + value / scale ** 2;
  }
  return means;
}
