/** An image becomes pixels while the networks decode the next one. What follows from a fault or a cancel is the same as without that. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { RunJob } from '../../src/pipelines/active-job.ts';
import { Counting, type Ended, imageOf, job, type JobChanges, run } from './run-counting.ts';

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
