/** The rows of `jobs show`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobDetails } from '../../src/cli/job-details.ts';
import type { JobSummary } from '../../src/queue/prompt-queue.ts';

const CLAIMED = new Date('2026-01-02T03:04:05Z');
const JOB: JobSummary = {
  id: 'a',
  status: 'processing',
  text: 'a fox',
  priority: 0,
  attempts: 2,
  worker: 'host:7',
  startedAt: CLAIMED,
  request: { width: '512', num_inference_steps: 4 },
};

test('a job that waits for its next attempt says when that is, and why the last one failed', () => {
  const rows = jobDetails(
    { ...JOB, awaitsRetry: true, leaseUntil: new Date('2026-01-02T03:14:05Z'), lastError: 'store_failed: no answer.' },
    [{ id: 'msg_1', promptId: 'a', state: 'dead', attempts: 10, error: 'HTTP 410' }],
    CLAIMED.getTime(),
  );
  for (const row of [
    /^attempts +2$/m,
    /^worker +host:7$/m,
    /^next attempt +2026-01-02T03:14:05.000Z$/m,
    /^last attempt +store_failed: no answer\.$/m,
    /^webhook +msg_1 {2}dead, 10 attempts: HTTP 410$/m,
    // What is text and should be a number is seen as text.
    /^asked\n {2}width +"512"\n {2}num_inference_steps +4$/m,
  ])
    assert.match(rows.join('\n'), row);
});

test('a completed job says how long it took, and what was used with the model and its hash', () => {
  const rows = jobDetails(
    {
      ...JOB,
      status: 'completed',
      finishedAt: new Date(CLAIMED.getTime() + 61_000),
      parameters: { width: 512, original_size: [1024, 768], model: 'demo', model_hash: 'aad57c43ae' },
      imageUrls: ['gs://b/a.png'],
      warnings: ['cut'],
    },
    [],
    CLAIMED.getTime(),
  );
  for (const row of [
    /^took +1 min 1 s$/m,
    /^used\n {2}width +512\n {2}original_size +1024,768\n {2}model +demo\n {2}model_hash +aad57c43ae$/m,
    /^image +gs:\/\/b\/a\.png$/m,
    /^warning +cut$/m,
  ])
    assert.match(rows.join('\n'), row);
});
