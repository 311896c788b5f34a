/** The lifecycle of jobs, over a family whose state is a number: batches, cancel, failure, previews. Each pass adds the image's seed. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { suite, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import type { RawImage } from '../../src/job/raw-image.ts';
import type { PipelineDurations } from '../../src/job/stages.ts';
import type { FinishImage, PassPlan, Pipeline, Prepared } from '../../src/pipelines/contract.ts';
import type { JobObserver, RunJob } from '../../src/pipelines/active-job.ts';
import { runJobs } from '../../src/pipelines/run-jobs.ts';
import { aRequest } from '../job/a-request.ts';

interface Count {
  readonly seed: number;
  readonly again: boolean;
  value: number;
}

/** What happens in the family, as a test wants it. */
interface Family extends Partial<Pipeline<Count>> {
  readonly batchKey?: (job: RunJob) => string;
  readonly beginAgain?: (count: Count) => Count | undefined;
  /** The part of decoding that needs no network. */
  readonly finish?: (count: Count) => void;
}

class Counting implements Pipeline<Count> {
  /** The seeds of each pass. */
  readonly passes: number[][] = [];
  readonly #family: Family;

  constructor(family: Family = {}) {
    this.#family = family;
    if (family.preview !== undefined) this.preview = family.preview;
    if (family.fault !== undefined) this.fault = family.fault;
  }

  preview?: (state: Count) => Promise<RawImage>;
  fault?: (state: Count, pass: number) => Text2ImgError | undefined;

  check(job: RunJob): PassPlan {
    return this.#family.check?.(job) ?? { passes: job.request.numInferenceSteps };
  }

  async prepare(job: RunJob, signal: AbortSignal): Promise<Prepared<Count>> {
    await this.#family.prepare?.(job, signal);
    const begin = (index: number): Count => ({ seed: job.request.seed + index, again: false, value: 0 });
    const { beginAgain } = this.#family;
    return {
      batchKey: this.#family.batchKey?.(job) ?? '',
      warnings: [`prepared ${job.jobId}`],
      begin,
      ...(beginAgain && { beginAgain: async (index: number) => beginAgain(begin(index)) }),
    };
  }

  async step(states: readonly Count[], pass: number, signal: AbortSignal): Promise<void> {
    this.passes.push(states.map(({ seed }) => seed));
    await this.#family.step?.(states, pass, signal);
    for (const state of states) state.value += state.seed;
  }

  async decode(state: Count, signal: AbortSignal): Promise<RawImage | FinishImage> {
    await this.#family.decode?.(state, signal);
    const { finish } = this.#family;
    if (finish === undefined) return imageOf(state.value);
    return async () => {
      finish(state);
      return imageOf(state.value);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const imageOf = (value: number): RawImage => ({ widthPx: 1, heightPx: 1, channels: 1, pixels: Uint8Array.of(value) });

interface Ended {
  readonly images: number[];
  readonly seeds: number[];
  previews: number;
  error?: Text2ImgError;
  warnings?: readonly string[];
  durationsMs?: PipelineDurations;
  ends: number;
}

interface Running {
  readonly pipeline?: Counting;
  readonly maxBatchImages?: number;
  readonly observer?: Partial<JobObserver>;
}

interface JobChanges extends Partial<ResolvedGenerationRequest> {
  readonly signal?: AbortSignal;
}

function job(jobId: string, { signal = new AbortController().signal, ...request }: JobChanges = {}): RunJob {
  return { jobId, images: [], signal, request: aRequest({ seed: 1, numInferenceSteps: 2, ...request }) };
}

/** Runs the jobs and checks what holds for each: it ends once, and its progress never goes back. */
async function run(
  jobs: readonly RunJob[],
  { pipeline = new Counting(), maxBatchImages = 4, observer = {} }: Running = {},
): Promise<Map<string, Ended>> {
  const ended = new Map<string, Ended>();
  for (const { jobId } of jobs) ended.set(jobId, { images: [], seeds: [], previews: 0, ends: 0 });
  const of = (jobId: string): Ended => ended.get(jobId) as Ended;
  const steps = new Map<string, number>();
  await runJobs(pipeline, jobs, {
    maxBatchImages,
    yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
    observer: {
      ...observer,
      onProgress: (jobId, progress) => {
        assert.equal(of(jobId).ends, 0, 'nothing comes after the end');
        assert.ok(progress.step >= (steps.get(jobId) ?? 0) && progress.step <= progress.steps);
        steps.set(jobId, progress.step);
        observer.onProgress?.(jobId, progress);
      },
      onImage: (jobId, { image, seed }) => {
        of(jobId).images.push(image.pixels[0] as number);
        of(jobId).seeds.push(seed);
      },
      onPreview: (jobId) => {
        of(jobId).previews++;
      },
      onDone: (jobId, warnings, durationsMs) =>
        Object.assign(of(jobId), { warnings, durationsMs, ends: of(jobId).ends + 1 }),
      onFailed: (jobId, error) => {
        observer.onFailed?.(jobId, error);
        Object.assign(of(jobId), { error, ends: of(jobId).ends + 1 });
      },
    },
  });
  for (const [jobId, { ends }] of ended) assert.equal(ends, 1, `${jobId} ends once`);
  for (const { signal } of jobs)
    assert.equal(getEventListeners(signal, 'abort').length, 0, 'no listener is left behind');
  return ended;
}

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

suite('an image is finished while the networks decode the next one', () => {
  const seeds = [1, 2, 3, 4];
  const jobs = (changes: JobChanges = {}): RunJob[] => seeds.map((seed) => job(`of ${seed}`, { ...changes, seed }));
  /** As a runtime that computes on another thread. */
  const run10Ms = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));
  const codes = (ended: Map<string, Ended>) => [...ended.values()].map(({ error }) => error?.code);

  test('so two of them are in memory at most, and each is given before the one behind it is finished', async () => {
    const events: string[] = [];
    let [runs, unfinished, most] = [0, 0, 0];
    const pipeline = new Counting({
      decode: async ({ seed }) => {
        assert.equal(++runs, 1, 'one run at a time');
        events.push(`run ${seed}`);
        most = Math.max(most, ++unfinished);
        await run10Ms();
        runs--;
        return imageOf(0);
      },
      finish: ({ seed }) => {
        if (seed !== 4) assert.equal(runs, 1, 'the next run is under way');
        events.push(`finish ${seed}`);
        unfinished--;
      },
    });
    const ended = await run(jobs(), { pipeline });
    assert.deepEqual(
      [...ended.values()].map(({ images }) => images),
      [[2], [4], [6], [8]],
    );
    const later = [1, 2, 3].flatMap((seed) => [`run ${seed + 1}`, `finish ${seed}`]);
    assert.deepEqual(events, ['run 1', ...later, 'finish 4']);
    assert.equal(most, 2);
  });

  test('one that is none ends its job once, although the next image of the job is being decoded', async () => {
    const finished: number[] = [];
    const pipeline = new Counting({
      decode: run10Ms as never,
      finish: ({ seed }) => {
        finished.push(seed);
        if (seed === 1) throw new Text2ImgError('invalid_image', 'it is none.');
      },
    });
    const ended = await run([job('a', { numImages: 2 }), job('b', { seed: 3 })], { pipeline });
    assert.deepEqual(codes(ended), ['invalid_image', undefined]);
    assert.deepEqual([ended.get('a')?.images, ended.get('b')?.images, finished], [[], [6], [1, 3]]);
  });

  test('a run that fails costs no image that is decoded already', async () => {
    const pipeline = new Counting({
      decode: async ({ seed }) => {
        if (seed === 2) throw new Text2ImgError('engine_out_of_memory', 'full.');
        return imageOf(0);
      },
      finish: () => undefined,
    });
    const full = 'engine_out_of_memory';
    const ended = await run(jobs(), { pipeline });
    assert.deepEqual(codes(ended), [undefined, full, full, full]);
    assert.deepEqual(ended.get('of 1')?.images, [2]);
  });

  test('where finishing fails, the run that is under way ends before its jobs do', async () => {
    let runs = 0;
    const pipeline = new Counting({
      decode: async () => {
        runs++;
        await run10Ms();
        runs--;
        return imageOf(0);
      },
      finish: () => {
        throw new Text2ImgError('inference_failed', 'it failed.');
      },
    });
    const observer = { onFailed: () => assert.equal(runs, 0) };
    const ended = await run(jobs(), { pipeline, observer });
    assert.deepEqual(
      codes(ended),
      seeds.map(() => 'inference_failed'),
    );
  });

  test('a job that is cancelled while an image is decoded is not decoded after it', async () => {
    const controller = new AbortController();
    const runs: number[] = [];
    const pipeline = new Counting({
      decode: async ({ seed }) => {
        runs.push(seed);
        // As a message that is read when the thread is free.
        if (seed === 1) setImmediate(() => controller.abort());
        return imageOf(0);
      },
      finish: () => undefined,
    });
    const cancelled = job('cancelled', { seed: 2, numImages: 2, signal: controller.signal });
    const ended = await run([job('a'), cancelled, job('b', { seed: 9 })], { pipeline });
    assert.deepEqual(codes(ended), [undefined, 'cancelled', undefined]);
    assert.deepEqual(runs, [1, 9]);
  });
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
