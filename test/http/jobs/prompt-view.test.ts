/** A prompt as the API shows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorView, promptView } from '../../../src/http/jobs/prompt-view.ts';
import { isSeen } from '../../../src/http/jobs/event-feed.ts';
import { endId } from '../../../src/http/jobs/job-events.ts';

const JOB = { id: 'a/b', status: 'pending', text: 'a circle', priority: 0, attempts: 0 };

test('a pending prompt has its place in the queue, and links under the caller’s address', () => {
  const view = promptView(JOB, { host: 'https://x', estimate: { position: 3, isCapped: false, waitMs: 1500 } });
  assert.deepEqual(view, {
    ...JOB,
    queue: { ahead: 3, at_least: false, estimated_wait_seconds: 2 },
    urls: {
      self: 'https://x/api/v1/prompts/a%2Fb',
      events: 'https://x/api/v1/prompts/a%2Fb/events',
      cancel: 'https://x/api/v1/prompts/a%2Fb/cancel',
    },
  });
});

test('a completed prompt has a link and a seed for each image, and nothing of the store or the worker', () => {
  const job = {
    ...JOB,
    status: 'completed',
    seed: 7,
    imageUrls: ['gs://bucket/a.png', 'gs://bucket/a.2.png'],
    owner: 'host:1',
    worker: 'host:1',
  };
  const view = promptView(job, { host: 'http://x', signedUrl: (index) => `http://x/signed/${index}` });
  assert.deepEqual(view['images'], [
    { index: 0, seed: 7, url: 'http://x/api/v1/prompts/a%2Fb/images/0.png', signed_url: 'http://x/signed/0' },
    { index: 1, seed: 8, url: 'http://x/api/v1/prompts/a%2Fb/images/1.png', signed_url: 'http://x/signed/1' },
  ]);
  const text = JSON.stringify(view);
  assert.ok(!text.includes('gs://') && !text.includes('host:1'), text);
});

test('an error is a code and a sentence, whatever stands in the document', () => {
  assert.deepEqual(errorView('cancelled: the job was cancelled.'), {
    code: 'cancelled',
    detail: 'the job was cancelled.',
  });
  for (const text of ['', 'boom', 'constructor: x', 'no_such_code: x', 'Cancelled: x'])
    assert.deepEqual(errorView(text), { code: 'internal', detail: text });
});

test('a client that comes back is not told what it has seen', () => {
  const status = { event: 'status', id: 'processing', data: {} } as const;
  assert.ok(isSeen(status, 'processing'));
  assert.ok(isSeen(status, 'processing.5'));
  for (const lastId of [undefined, 'pending', 'completed.5', '']) assert.ok(!isSeen(status, lastId), String(lastId));
  assert.ok(isSeen({ event: 'progress', id: 'processing.5', data: {} }, 'processing.5'));
  assert.ok(!isSeen({ event: 'progress', id: 'processing.6', data: {} }, 'processing.5'));
  assert.ok(!isSeen({ event: 'preview', data: {} }, 'processing.5'));
});

test('the last event of a retried prompt is another one', () => {
  const ended = { ...JOB, status: 'completed' };
  assert.notEqual(endId({ ...ended, finishedAt: new Date(1) }), endId({ ...ended, finishedAt: new Date(2) }));
});
