/** The lifecycle of jobs, over a family whose state is a number: batches, cancel, failure, previews. Each pass adds the image's seed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { JobObserver, RunJob } from '../../src/pipelines/active-job.ts';
import { type Count, Counting, imageOf, job, run } from './run-counting.ts';

test('images share passes up to the limit; each has its own seed and result', async () => {
  const pipeline = new Counting();
  const ended = await run([job('a', { numImages: 3 }), job('b', { seed: 10, numImages: 2 })], { pipeline });
  assert.deepEqual(pipeline.passes, [[1, 2, 3, 10], [1, 2, 3, 10], [11], [11]]);
  assert.deepEqual(ended.get('a')?.images, [2, 4, 6]);
  assert.deepEqual(ended.get('a')?.seeds, [1, 2, 3]);
  assert.deepEqual(ended.get('b')?.images, [20, 22]);
  assert.deepEqual(ended.get('a')?.warnings, ['prepared a']);
  for (const stage of ['encode', 'denoise', 'decode'] as const)
    assert.ok((ended.get('a')?.durationsMs?.[stage] ?? -1) >= 0);
});

test('requests that the table keeps apart share no pass, nor do those that the family keeps apart', async () => {
  const sizes = new Counting();
  await run([job('a'), job('b', { seed: 10, widthPx: 128 }), job('c', { seed: 20, numInferenceSteps: 3 })], {
    pipeline: sizes,
  });
  assert.ok(sizes.passes.every((seeds) => seeds.length === 1));
  const tokens = new Counting({ batchKey: ({ request }) => String(request.prompt.length) });
  await run([job('a', { prompt: 'x' }), job('b', { seed: 10, prompt: 'y' }), job('c', { seed: 20, prompt: 'long' })], {
    pipeline: tokens,
  });
  assert.deepEqual(tokens.passes, [[1, 10], [1, 10], [20], [20]]);
});

test('jobs with unequal numbers of passes share none, although their requests are alike: an image to begin with makes them fewer', async () => {
  const pipeline = new Counting({ check: ({ images }) => ({ passes: 3 - images.length }) });
  const image = { widthPx: 1, heightPx: 1, channels: 3, pixels: new Uint8Array(3) } as const;
  const ended = await run([job('a'), { ...job('b', { seed: 2 }), images: [image] }], { pipeline });
  assert.deepEqual(pipeline.passes, [[1], [1], [1], [2], [2]]);
  assert.deepEqual([ended.get('a')?.images, ended.get('b')?.images], [[3], [4]]);
});

test('progress counts steps, where a scheduler needs more passes than steps, and the passes beside them', async () => {
  const steps = async (passes: number): Promise<string[]> => {
    const seen: string[] = [];
    const seenPasses: string[] = [];
    const onProgress: JobObserver['onProgress'] = (_, { stage, step, steps: of, pass, passes: ofPasses }) => {
      if (stage !== 'denoise') return;
      seen.push(`${step}/${of}`);
      seenPasses.push(`${pass}/${ofPasses}`);
    };
    await run([job('a', { numImages: 2 })], {
      pipeline: new Counting({ check: () => ({ passes, steps: 3 }) }),
      maxBatchImages: 1,
      observer: { onProgress },
    });
    const all = Array.from({ length: 2 * passes }, (_, index) => `${index + 1}/${2 * passes}`);
    assert.deepEqual(seenPasses, all);
    return seen;
  };
  // As Heun's method: 2 · 3 − 1.
  assert.deepEqual(await steps(5), ['0/6', '1/6', '1/6', '2/6', '3/6', '3/6', '4/6', '4/6', '5/6', '6/6']);
  // As PNDM: 3 + 1.
  assert.deepEqual(await steps(4), ['0/6', '1/6', '2/6', '3/6', '3/6', '4/6', '5/6', '6/6']);
});

test('a job that is refused or cannot be prepared fails alone', async () => {
  const refuse =
    (code: 'invalid_parameter' | 'invalid_image', jobId: string) =>
    (job: { readonly jobId: string }): void => {
      if (job.jobId === jobId) throw new Text2ImgError(code, `${jobId} cannot be.`);
    };
  const check = refuse('invalid_parameter', 'a');
  const prepare = refuse('invalid_image', 'b');
  const pipeline = new Counting({
    check: (job) => {
      check(job);
      return { passes: 2 };
    },
    prepare: async (job) => prepare(job) as never,
  });
  const ended = await run([job('a'), job('b'), job('c', { seed: 5 })], { pipeline });
  assert.deepEqual(
    [...ended.values()].map(({ error }) => error?.code),
    ['invalid_parameter', 'invalid_image', undefined],
  );
  assert.deepEqual(ended.get('c')?.images, [10]);
});

test('a pass that fails ends all who share it, and none of the next batch', async () => {
  const pipeline = new Counting({
    step: async (states) => {
      if (states.some(({ seed }) => seed === 2)) throw new Text2ImgError('inference_failed', 'it failed.');
    },
  });
  const ended = await run([job('a'), job('b', { seed: 2 }), job('c', { seed: 3 })], { pipeline, maxBatchImages: 2 });
  assert.deepEqual(
    [...ended.values()].map(({ error }) => error?.code),
    ['inference_failed', 'inference_failed', undefined],
  );
  assert.deepEqual(ended.get('c')?.images, [6]);
});

test('one image that is no image fails its job, and the others of the batch are decoded', async () => {
  const pipeline = new Counting({
    decode: async ({ seed }) => {
      if (seed === 1) throw new Text2ImgError('invalid_image', 'it is none.');
      return imageOf(0);
    },
  });
  const ended = await run([job('a'), job('b', { seed: 2 })], { pipeline });
  assert.equal(ended.get('a')?.error?.code, 'invalid_image');
  assert.deepEqual(ended.get('b')?.images, [4]);
});

test('a faulty state fails alone; where the family can begin again it runs from its first pass, and its neighbours go on', async () => {
  const fault = ({ seed, again }: Count, pass: number): Text2ImgError | undefined =>
    seed === 2 && !again && pass === 1 ? new Text2ImgError('invalid_image', 'not finite.') : undefined;
  const jobs = (): RunJob[] => [job('a', { numInferenceSteps: 3 }), job('b', { seed: 2, numInferenceSteps: 3 })];
  const alone = await run(jobs(), { pipeline: new Counting({ fault }) });
  assert.equal(alone.get('b')?.error?.code, 'invalid_image');
  assert.deepEqual(alone.get('a')?.images, [3]);

  const pipeline = new Counting({ fault, beginAgain: (count) => ({ ...count, again: true }) });
  let most = 0;
  const ended = await run(jobs(), {
    pipeline,
    observer: { onProgress: (jobId, { steps }) => void (jobId === 'b' && (most = steps)) },
  });
  assert.deepEqual([ended.get('a')?.images, ended.get('b')?.images], [[3], [6]]);
  assert.deepEqual(pipeline.passes, [[1, 2], [1, 2], [2], [2], [2], [1]]);
  assert.equal(most, 6, 'the passes that run again count');

  const never = new Counting({ fault, beginAgain: () => undefined });
  assert.equal((await run(jobs(), { pipeline: never })).get('b')?.error?.code, 'invalid_image');
});

test('a job that is cancelled leaves its batch, and its neighbour’s result is the same', async () => {
  const controller = new AbortController();
  const pipeline = new Counting({
    step: async (_, pass) => {
      if (pass === 1) controller.abort();
    },
  });
  const jobs = [
    job('a', { numInferenceSteps: 4, signal: controller.signal }),
    job('b', { seed: 7, numInferenceSteps: 4 }),
  ];
  const ended = await run(jobs, { pipeline });
  assert.equal(ended.get('a')?.error?.code, 'cancelled');
  assert.deepEqual(ended.get('a')?.images, []);
  assert.deepEqual(ended.get('b')?.images, [28]);
  assert.deepEqual(pipeline.passes, [[1, 7], [1, 7], [7], [7]]);
});

test('a job that was cancelled before it began is not prepared', async () => {
  const prepared: string[] = [];
  const pipeline = new Counting({ prepare: async ({ jobId }) => prepared.push(jobId) as never });
  const ended = await run([job('a', { signal: AbortSignal.abort() }), job('b')], { pipeline });
  assert.equal(ended.get('a')?.error?.code, 'cancelled');
  assert.deepEqual(prepared, ['b']);
});

test('a pass is told to stop when the last job that wants it is cancelled, and not before', async () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const stopped: boolean[] = [];
  const pipeline = new Counting({
    // As a runtime that can stop a run in its midst.
    step: async (_states, _pass, signal) => {
      first.abort();
      stopped.push(signal.aborted);
      second.abort();
      stopped.push(signal.aborted);
      throw new Error('the run was stopped');
    },
  });
  const ended = await run([job('a', { signal: first.signal }), job('b', { signal: second.signal })], { pipeline });
  assert.deepEqual(stopped, [false, true]);
  assert.deepEqual(
    [...ended.values()].map(({ error }) => error?.code),
    ['cancelled', 'cancelled'],
  );
});

test('previews are made for a job that is due, and one that fails costs no image', async () => {
  const observer = { isPreviewDue: (jobId: string) => jobId === 'a' };
  const jobs = (): RunJob[] => [job('a', { numInferenceSteps: 3 }), job('b')];
  const shown = await run(jobs(), {
    observer,
    pipeline: new Counting({ preview: async ({ value }) => imageOf(value) }),
  });
  assert.deepEqual([shown.get('a')?.previews, shown.get('b')?.previews], [3, 0]);
  const failures = [
    () => Promise.reject(new Error('no preview')),
    () => {
      throw new RangeError('no preview');
    },
  ];
  for (const preview of failures) {
    const ended = await run(jobs(), { observer, pipeline: new Counting({ preview }) });
    assert.deepEqual([ended.get('a')?.images, ended.get('a')?.previews], [[3], 0]);
  }
});
