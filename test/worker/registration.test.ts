/** The list of workers that servers read: what is in it, and who is no longer in it. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { RecentWork } from '../../src/worker/recent-work.ts';
import { VERSION } from '../../src/version.ts';
import { makePlace, until, watch } from './place.ts';

const ENDS = { timeout: 110_000 };

test(
  'a worker is listed with its models and its machine while it runs, and leaves the list at its end',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const { workers } = place.queue.sideData;
    const worker = watch(place, { defaults: { numInferenceSteps: 7, widthPx: 24 } });
    await until(async () => (await workers.living()).length > 0);
    const [record] = await workers.living();
    assert.ok(record !== undefined);
    const { at, ...facts } = record;
    assert.ok(Number.isFinite(at.getTime()));
    assert.deepEqual(facts, {
      id: 'test',
      host: hostname(),
      pid: process.pid,
      version: VERSION,
      device: 'cpu',
      models: ['instant'],
      loadedModel: 'instant',
      takesUnnamed: true,
      images5min: 0,
      seconds5min: 0,
      sizes: [{ model: 'instant', widthPx: 24, heightPx: 8, numInferenceSteps: 7 }],
    });
    await worker.stop();
    assert.deepEqual(await workers.living(), []);
    assert.deepEqual(await workers.modelsOfDay(), ['instant']);
  },
);

test('the work of five minutes is counted, and seconds in which two engines work count once', () => {
  let nowMs = 0;
  const work = new RecentWork(() => nowMs);
  work.begin();
  nowMs = 10_000;
  work.begin();
  nowMs = 20_000;
  work.end(2);
  nowMs = 30_000;
  work.end(1);
  assert.deepEqual(work.sums, { images: 3, seconds: 30 });
  nowMs = 100_000;
  work.begin();
  nowMs = 101_000;
  work.end(4);
  assert.deepEqual(work.sums, { images: 7, seconds: 31 });
  nowMs = 325_000;
  assert.deepEqual(work.sums, { images: 5, seconds: 11 }, 'the first batch is older than that');
  nowMs = 1_000_000;
  assert.deepEqual(work.sums, { images: 0, seconds: 0 });
});
