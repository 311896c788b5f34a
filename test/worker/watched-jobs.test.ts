/** Jobs that somebody watches: previews and progress beside the queue, a cancel that is noticed soon, and no cost for the others. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { decode } from 'fast-png';
import type { Preview } from '../../src/queue/side-data.ts';
import { encodePreview } from '../../src/worker/job-previews.ts';
import { makePlace, show, states, until, watch, work } from './place.ts';

const ENDS = { timeout: 110_000 };

test('a watched job shows previews and its progress while it is generated, and leaves none behind', ENDS, async (t) => {
  const place = await makePlace(t);
  const { watches, previews } = place.queue.sideData;
  await watches.mark([{ promptId: 'a', wantsPreviews: true }], 60_000);
  await place.queue.enqueue([{ _id: 'a', text: '[slow 100]', num_inference_steps: 60 }]);
  // Its lease alone would be renewed, with the progress, only after a minute.
  const worker = watch(place, { leaseMs: 180_000 });
  let seen: Preview | undefined;
  await until(async () => (seen = await previews.get('a')) !== undefined);
  assert.ok(seen !== undefined);
  const { width, height, channels, data } = decode(seen.png);
  assert.deepEqual([width, height, channels, [...data]], [1, 1, 3, [1, 2, 3]]);
  assert.ok(seen.step >= 1 && seen.step < 60 && seen.steps === 60, `${seen.step} of ${seen.steps}`);
  await until(async () => (await previews.get('a'))?.step !== seen?.step);
  await until(async () => (await show(place, 'a')).progress !== undefined);
  await until(async () => (await show(place, 'a')).status === 'completed');
  await worker.stop();
  assert.equal(await previews.get('a'), undefined);
});

test('a cancel of a watched job is noticed long before its lease would be renewed', ENDS, async (t) => {
  const place = await makePlace(t);
  await place.queue.sideData.watches.mark([{ promptId: 'a', wantsPreviews: true }], 110_000);
  await place.queue.enqueue([
    { _id: 'a', text: '[slow 100]', num_inference_steps: 1000 },
    { _id: 'b', text: 'x' },
  ]);
  const worker = watch(place, { leaseMs: 600_000 });
  await until(() => worker.drawings('a') > 0);
  await place.queue.cancel('a');
  await until(async () => (await show(place, 'b')).status === 'completed');
  assert.deepEqual(await states(place, ['a', 'b']), ['error 1', 'completed 1']);
  assert.ok(worker.events.some(({ type }) => type === 'lost'));
  assert.equal((await worker.stop()).lost, 1);
});

test(
  'a job whose requests want no previews has its progress and a quick cancel, and no preview is made',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const { watches, previews } = place.queue.sideData;
    const put = t.mock.method(previews, 'put');
    await watches.mark([{ promptId: 'a', wantsPreviews: false }], 110_000);
    await place.queue.enqueue([{ _id: 'a', text: '[slow 50]', num_inference_steps: 1000 }]);
    const worker = watch(place, { leaseMs: 600_000 });
    await until(async () => ((await show(place, 'a')).progress?.step ?? 0) > 60);
    assert.equal(put.mock.callCount(), 0);
    // From here on somebody looks.
    await watches.mark([{ promptId: 'a', wantsPreviews: true }], 110_000);
    await until(async () => (await previews.get('a')) !== undefined);
    await place.queue.cancel('a');
    await until(() => worker.events.some(({ type }) => type === 'lost'));
  },
);

test('a job that is marked only later, or no longer, is watched from then on, or no longer', ENDS, async (t) => {
  const place = await makePlace(t);
  const { watches, previews } = place.queue.sideData;
  await place.queue.enqueue([{ _id: 'a', text: '[slow 50]', num_inference_steps: 1000 }]);
  const worker = watch(place, { leaseMs: 600_000, graceMs: 0 });
  await until(() => worker.drawings('a') > 0);
  assert.equal(await previews.get('a'), undefined);
  await watches.mark([{ promptId: 'a', wantsPreviews: true }], 3000);
  await until(async () => (await previews.get('a')) !== undefined);
  await until(async () => (await watches.msLeft('a')) === 0);
  let last = -1;
  // Each turn is longer than the time between two previews, and than that between two looks.
  await until(async () => {
    const step = (await previews.get('a'))?.step ?? -1;
    const isQuiet = step === last;
    last = step;
    await new Promise((resolve) => setTimeout(resolve, 2500));
    return isQuiet;
  });
  await worker.stop();
});

test(
  'jobs that nobody watches cost one bounded query a second while one is held, and none otherwise',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const { watches, previews } = place.queue.sideData;
    const asked: (readonly string[])[] = [];
    const marked = watches.marked.bind(watches);
    t.mock.method(watches, 'marked', async (ids: readonly string[]) => {
      asked.push(ids);
      return await marked(ids);
    });
    const put = t.mock.method(previews, 'put');
    const remove = t.mock.method(previews, 'remove');
    const renew = t.mock.method(place.queue, 'renew');
    const startedMs = performance.now();
    const jobs = Array.from({ length: 40 }, (_, index) => ({ _id: `d${index}`, text: '[slow 10]' }));
    await place.queue.enqueue(jobs);
    const { summary } = await work(place, { leaseMs: 600_000 });
    const seconds = Math.floor((performance.now() - startedMs) / 1000);
    assert.equal(summary.completed, 40);
    assert.ok(asked.length >= 1 && asked.length <= seconds + 1, `${asked.length} queries in ${seconds} s`);
    assert.ok(asked.every((ids) => ids.length > 0 && ids.length <= 40));
    assert.deepEqual([put.mock.callCount(), remove.mock.callCount(), renew.mock.callCount()], [0, 0, 0]);
    asked.length = 0;
    const idle = watch(place);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.deepEqual(asked, []);
    await idle.stop();
  },
);

test('a worker whose side data fails generates all the same, and says it once', ENDS, async (t) => {
  const place = await makePlace(t);
  const { watches, workers } = place.queue.sideData;
  const fail = (): Promise<never> => Promise.reject(new Error('no right to read here'));
  t.mock.method(watches, 'marked', fail);
  t.mock.method(workers, 'beat', fail);
  t.mock.method(workers, 'leave', fail);
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  assert.equal((await work(place)).summary.completed, 1);
});

test('previews that cannot be kept cost the job nothing', ENDS, async (t) => {
  const place = await makePlace(t);
  const { watches, previews } = place.queue.sideData;
  const put = t.mock.method(previews, 'put', () => Promise.reject(new Error('the disk is full')));
  t.mock.method(previews, 'remove', () => Promise.reject(new Error('the disk is full')));
  await watches.mark([{ promptId: 'a', wantsPreviews: true }], 60_000);
  await place.queue.enqueue([{ _id: 'a', text: '[slow 100]', num_inference_steps: 30 }]);
  assert.equal((await work(place)).summary.completed, 1);
  assert.ok(put.mock.callCount() > 0, 'or this test shows nothing');
});

test('a preview is a PNG of at most 64 kB, whatever is in it', async () => {
  const noise = randomBytes(256 * 192 * 3);
  const png = await encodePreview({ widthPx: 256, heightPx: 192, channels: 3, pixels: noise });
  assert.ok(png.byteLength <= 64_000, `${png.byteLength} bytes`);
  const { width, height, data } = decode(png);
  assert.deepEqual([width, height], [128, 96]);
  const pixel = (x: number, y: number): number => noise[(y * 256 + x) * 3] ?? NaN;
  const mean = (pixel(0, 0) + pixel(1, 0) + pixel(0, 1) + pixel(1, 1)) / 4;
  assert.ok(Math.abs((data[0] ?? NaN) - mean) < 1);
  const small = { widthPx: 2, heightPx: 1, channels: 3, pixels: Uint8Array.of(1, 2, 3, 4, 5, 6) } as const;
  assert.deepEqual([...decode(await encodePreview(small)).data], [1, 2, 3, 4, 5, 6]);
});
