/** The worker with real queues, stores, engine processes and signals; only the pixels are those of the instant engine. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { promptIdText } from '../../src/job/document-id.ts';
import { seedOfRun } from '../../src/job/resolve-request.ts';
import type { RawPromptDocument } from '../../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { makePlace, show, work } from './place.ts';
import { startProcess } from './start-process.ts';

test('a drain draws every prompt, stores its pictures and tells where they are', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([
    { _id: 'a', text: 'one' },
    { _id: 'b', text: 'two', num_images: 2, seed: 9, width: 24 },
  ]);
  const { summary } = await work(place);
  assert.deepEqual(summary, { completed: 2, failed: 0, retried: 0, released: 0, lost: 0 });
  const two = await show(place, 'b');
  assert.deepEqual(
    two.imageUrls?.map((url) => url.slice(url.lastIndexOf('/') + 1)),
    ['b.png', 'b.2.png'],
  );
  assert.deepEqual(
    [two.status, two.seed, two.parameters?.['width'], two.parameters?.['num_inference_steps']],
    ['completed', 9, 24, 3],
  );
  const png = await readFile(join(place.folder, 'generated/b.2.png'));
  assert.equal(png.readUInt32BE(16), 24);
});

test('a document that asks for what cannot be ends as an error and does not stop the others', async (t) => {
  const place = await makePlace(t);
  const bad: RawPromptDocument[] = [
    { text: 5 },
    {},
    { text: 'x', width: 100 },
    { text: 'x', seed: 1.5 },
    { text: 'x', scheduler: 'magic' },
    { text: 'x'.repeat(70_000) },
    { text: '[fail]', num_images: 99 },
    { text: 'x', priority: 'high' },
  ];
  await place.queue.enqueue([
    ...bad.map((document, index) => ({ _id: index, ...document })),
    { _id: 'good', text: '' },
  ]);
  const { summary } = await work(place);
  assert.equal(summary.failed, bad.length);
  assert.equal((await show(place, 'good')).status, 'completed');
  const codes = await Promise.all(bad.map(async (_, index) => (await show(place, String(index))).error?.split(':')[0]));
  assert.deepEqual(codes, [
    'invalid_prompt',
    'invalid_prompt',
    'invalid_parameter',
    'invalid_parameter',
    'unknown_scheduler',
    'prompt_too_large',
    'invalid_parameter',
    'invalid_parameter',
  ]);
});

test('a prompt that kills the engine uses up its own attempts only', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([
    { _id: 'poison', text: '[kill]' },
    ...Array.from({ length: 3 }, (_, index) => ({ _id: index, text: 'x' })),
  ]);
  const { summary } = await work(place, { maxAttempts: 2 });
  assert.deepEqual([summary.completed, summary.failed], [3, 1]);
  assert.match(
    (await show(place, 'poison')).error ?? '',
    /^attempts_exhausted: all 2 attempts failed; the last one: engine_crashed/,
  );
});

test('after a crash of the engine the prompt is drawn at the next attempt, with the same seed', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: `[crash once ${join(place.folder, 'flag')}]` }]);
  const { summary, events } = await work(place);
  assert.deepEqual([summary.retried, summary.completed], [1, 1]);
  const claimed = events.filter((event) => event.type === 'claimed').map(({ attempt }) => attempt);
  assert.deepEqual(claimed, [1, 2]);
});

test('cancelling while it is drawn ends it as an error with code cancelled, and nothing is stored', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([
    { _id: 'a', text: '[slow 20]', num_inference_steps: 1000 },
    { _id: 'b', text: 'b' },
  ]);
  const { summary } = await work(place, {
    renewMs: 20,
    onEvent: (event) => {
      if (event.type === 'progress' && event.id === 'a' && event.step === 2) void place.queue.cancel('a');
    },
  });
  assert.deepEqual([summary.lost, summary.completed], [1, 1]);
  const { status, error } = await show(place, 'a');
  assert.equal(status, 'error');
  assert.match(error ?? '', /^cancelled: /);
  await assert.rejects(readFile(join(place.folder, 'generated/a.png')));
});

test('the progress of a prompt can be seen in the queue', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: '[slow 10]', num_inference_steps: 20 }]);
  const seen: number[] = [];
  const look = setInterval(
    () => void place.queue.show('a').then((summary) => summary?.progress && seen.push(summary.progress.step)),
    10,
  );
  await work(place, { renewMs: 10 }).finally(() => clearInterval(look));
  assert.ok(
    seen.some((step) => step > 0 && step <= 20),
    seen.join(),
  );
});

test('two worker processes on one file never draw the same prompt', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue(Array.from({ length: 40 }, (_, index) => ({ _id: index, text: '[slow 2]' })));
  const workers = ['w1', 'w2'].map((owner) => startProcess(t, place, { owner, leaseMs: 60_000 }));
  assert.deepEqual(await Promise.all(workers.map(({ ended }) => ended)), [0, 0]);
  const claimed = workers.flatMap(({ events }) =>
    events.filter(({ type }) => type === 'claimed').map((event) => 'id' in event && event.id),
  );
  assert.equal(claimed.length, 40);
  assert.equal(new Set(claimed).size, 40);
  assert.equal((await place.queue.counts()).completed, 40);
});

test('after kill -9 of a worker another one draws its prompt when the lease ends: same run, same seed', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: '[slow 100]' }]);
  const dead = startProcess(t, place, { owner: 'dead', leaseMs: 700 });
  await dead.saw('progress');
  dead.child.kill('SIGKILL');
  await dead.ended;
  const heir = startProcess(t, place, { owner: 'heir', leaseMs: 60_000 });
  assert.equal(await heir.ended, 0);
  assert.ok(heir.events.some((event) => event.type === 'claimed' && event.attempt === 2));
  const { status, seed, attempts } = await show(place, 'a');
  assert.deepEqual([status, attempts], ['completed', 2]);
  const found = await new FileImageStore(place.folder).find('generated/a.png');
  assert.equal(seed, seedOfRun(found?.metadata?.runId ?? ''));
});

test('a worker that was frozen past its lease publishes nothing over its heir', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: '[slow 60]' }]);
  const frozen = startProcess(t, place, { owner: 'frozen', leaseMs: 600 });
  await frozen.saw('progress');
  frozen.child.kill('SIGSTOP');
  await sleep(700);
  const heir = startProcess(t, place, { owner: 'heir', leaseMs: 60_000 });
  assert.equal(await heir.ended, 0);
  const before = await readFile(join(place.folder, 'generated/a.png'));
  frozen.child.kill('SIGCONT');
  assert.equal(await frozen.ended, 0);
  assert.ok(frozen.events.some(({ type }) => type === 'lost'));
  assert.ok(!frozen.events.some(({ type }) => type === 'completed'));
  assert.deepEqual(await readFile(join(place.folder, 'generated/a.png')), before);
});

test('SIGTERM gives back what does not fit into the grace period; the attempt does not count', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'long', text: '[slow 20]', num_inference_steps: 1000 }]);
  const worker = startProcess(t, place, { owner: 'w', leaseMs: 60_000, until: 'stopped' });
  await worker.saw('progress');
  worker.child.kill('SIGTERM');
  assert.equal(await worker.ended, 0);
  const { status, attempts } = await show(place, 'long');
  assert.deepEqual([status, attempts], ['pending', 0]);
});

test('SIGTERM finishes what fits into the grace period', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'short', text: '[slow 10]', num_inference_steps: 10 }]);
  const worker = startProcess(t, place, { owner: 'w', leaseMs: 60_000, until: 'stopped' });
  await worker.saw('progress');
  worker.child.kill('SIGTERM');
  assert.equal(await worker.ended, 0);
  assert.equal((await show(place, 'short')).status, 'completed');
});

test('pictures that a dead attempt stored are adopted instead of drawn again', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: '[fail]' }]);
  await using dying = new SqlitePromptQueue({
    path: join(place.folder, 'queue.sqlite'),
    leaseMs: 1,
    maxAttempts: 5,
    owner: 'dying',
  });
  const [claim] = await dying.claim({ limit: 1 });
  assert.ok(claim !== undefined);
  const store = new FileImageStore(place.folder);
  const metadata = { runId: claim.runId, docKey: claim.docKey, seed: 1, model: 'demo' };
  await store.put(
    { name: `generated/${promptIdText(claim.id)}.png`, png: new Uint8Array(8), metadata },
    { mayReplace: async () => true },
  );
  await sleep(5);
  const { summary } = await work(place);
  assert.equal(summary.completed, 1, 'drawing it would have failed');
});

test('a picture of another document is never overwritten: the document ends with foreign_object', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  const metadata = { runId: 'r', docKey: 'another', seed: 1, model: 'demo' };
  await new FileImageStore(place.folder).put(
    { name: 'generated/a.png', png: new Uint8Array(8), metadata },
    { mayReplace: async () => true },
  );
  await work(place);
  assert.match((await show(place, 'a')).error ?? '', /^foreign_object: /);
  assert.equal((await readFile(join(place.folder, 'generated/a.png'))).length, 8);
});

test('none of a hundred hostile documents stops the queue: each ends as completed or error', async (t) => {
  const place = await makePlace(t);
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('$set', '__proto__', '', 'x'.repeat(100_000)),
    fc.jsonValue(),
  );
  const document = fc.dictionary(
    fc.constantFrom(
      'text',
      'seed',
      'width',
      'height',
      'num_images',
      'priority',
      'scheduler',
      'negative_prompt',
      '__proto__',
      '$where',
      'job',
      'constructor',
    ),
    value,
  );
  const documents = fc.sample(document, { numRuns: 100, seed: 20261124 });
  await place.queue.enqueue(documents.map((fields, index) => ({ ...fields, _id: `h${index}` })));
  const { summary } = await work(place);
  assert.equal(summary.completed + summary.failed, 100);
  const { completed, error, pending, processing } = await place.queue.counts();
  assert.deepEqual([pending, processing, completed + error], [0, 0, 100]);
});
