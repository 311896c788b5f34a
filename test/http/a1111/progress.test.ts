/** Progress is exactly 0 while a caller has no request, and interrupt and skip reach the caller's own jobs alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressAnswer } from '../../../src/http/a1111/progress.ts';
import { RunningRequests } from '../../../src/http/a1111/running-requests.ts';
import type { Caller } from '../../../src/http/front/caller.ts';
import type { EndedJob } from '../../../src/http/front/front.ts';

function caller(name?: string): Caller {
  return {
    key: name === undefined ? undefined : { name, isAdmin: false, limits: {} },
    requestId: 'r',
    retryCount: 0,
    gone: new AbortController().signal,
    door: 'a1111',
    host: 'http://localhost',
  };
}

function endedJob(id: string): EndedJob {
  return { id, status: 'completed', text: '', priority: 0, attempts: 1 };
}

const now = new Date('2026-11-26T07:05:01.123Z');

interface Answer {
  readonly progress: number;
  readonly eta_relative: number;
  readonly state: Readonly<Record<string, unknown>>;
  readonly current_image: string | null;
}

function answerTo(running: RunningRequests, who: Caller, preview?: Uint8Array): Answer {
  return progressAnswer(running.of(who), { preview, waitMs: 4000, now }) as Answer;
}

test('progress is 0 with no job before and after a request, and at least 0.01 during it', async () => {
  const running = new RunningRequests({ nowMs: () => 0 });
  const idle = answerTo(running, caller());
  assert.equal(idle.progress, 0);
  assert.equal(idle.state['job_count'], 0);
  await running.during(caller(), ['a', 'b'], async () => {
    const waiting = answerTo(running, caller());
    assert.equal(waiting.progress, 0.01);
    assert.deepEqual([waiting.state['job_count'], waiting.state['job_no']], [2, 0]);
  });
  assert.deepEqual(answerTo(running, caller()), idle);
  await assert.rejects(
    running.during(caller(), ['a'], () => Promise.reject(new Error('lost'))),
    /lost/,
  );
  assert.deepEqual(answerTo(running, caller()), idle);
});

test('progress counts ended jobs and the steps of the current one, and estimates the rest', async () => {
  let nowMs = 5000;
  const running = new RunningRequests({ nowMs: () => nowMs });
  await running.during(caller(), ['a', 'b'], async (request) => {
    request.onEvent({ type: 'status', id: 'a', status: 'pending', position: 3 });
    assert.equal(answerTo(running, caller()).eta_relative, 4);
    request.onEvent({ type: 'progress', id: 'a', step: 5, steps: 20 });
    nowMs = 6000;
    const early = answerTo(running, caller(), Uint8Array.of(1, 2, 3));
    assert.deepEqual([early.progress, early.eta_relative], [0.125, 7]);
    assert.deepEqual([early.state['sampling_step'], early.state['sampling_steps'], early.state['job']], [5, 20, 'a']);
    assert.equal(early.current_image, 'AQID');
    request.onEvent({ type: 'completed', job: endedJob('a') });
    request.onEvent({ type: 'progress', id: 'a', step: 20, steps: 20 });
    const later = answerTo(running, caller());
    assert.deepEqual([later.progress, later.state['job_no'], later.state['job']], [0.5, 1, 'b']);
    assert.equal(later.state['job_timestamp'], '20261126070501');
  });
});

test('callers with keys see their own requests only', async () => {
  const running = new RunningRequests({ nowMs: () => 0 });
  await running.during(caller('ann'), ['a'], async () => {
    assert.equal(answerTo(running, caller('bob')).progress, 0);
    assert.equal(answerTo(running, caller('ann')).progress, 0.01);
    assert.deepEqual(
      running.of(caller('bob')).flatMap((request) => request.interrupt()),
      [],
    );
  });
});

test('interrupt stops every open job of a request, skip the current one', async () => {
  const running = new RunningRequests({ nowMs: () => 0 });
  await running.during(caller(), ['a', 'b', 'c'], async (request) => {
    request.onEvent({ type: 'completed', job: endedJob('a') });
    assert.deepEqual(request.skip(), ['b']);
    assert.equal(request.stop, 'skipped');
    assert.deepEqual(request.interrupt(), ['b', 'c']);
    const { state } = answerTo(running, caller());
    assert.deepEqual([state['interrupted'], state['skipped']], [true, false]);
  });
});
