/** How long each stage of a job took is told once, when it is completed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JOB_STAGES } from '../../src/job/stages.ts';
import { type LogFields, silentLogger } from '../../src/observability/logger.ts';
import { FileImageStore } from '../../src/storage/file/file-image-store.ts';
import { StageTimes } from '../../src/worker/stage-times.ts';
import { makePlace, work } from './place.ts';

test('a completed job tells how long each stage took, in its event and in the log', async (t) => {
  const place = await makePlace(t);
  const logged: LogFields[] = [];
  const logger = {
    ...silentLogger,
    info: (message: string, fields?: LogFields) => void (message === 'prompt completed' && logged.push(fields ?? {})),
  };
  await place.queue.enqueue([{ _id: 'a', text: '[slow 20]', num_inference_steps: 5, num_images: 2 }]);
  const { events } = await work(place, { logger });
  const [completed] = events.filter((event) => event.type === 'completed');
  const { durationsMs = {} } = completed ?? {};
  assert.deepEqual(Object.keys(durationsMs), JOB_STAGES);
  assert.ok((durationsMs.denoise ?? 0) >= 100, 'five steps of 20 ms at least');
  assert.ok(Object.values(durationsMs).every((ms) => Number.isInteger(ms) && ms >= 0));
  assert.equal(logged.length, 1);
  const { durations_ms: inLog, duration_ms: total, seed, ...others } = logged[0] ?? {};
  assert.deepEqual(others, { prompt_id: 'a', images: 2, steps: 5, size: '16x8', model: 'instant', worker: 'test' });
  assert.equal(typeof seed, 'number');
  assert.ok(Number(total) >= (durationsMs.denoise ?? 0), 'the whole is longer than one stage');
  assert.deepEqual(
    inLog,
    Object.fromEntries(
      Object.entries(durationsMs).map(([stage, ms]) => [stage === 'encodeImage' ? 'encode_image' : stage, ms]),
    ),
  );
});

test('a job whose images are stored already tells only of the stages that it went through', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([{ _id: 'a', text: 'x' }]);
  const [claim] = await place.queue.claim({ limit: 1 });
  assert.ok(claim !== undefined);
  const metadata = { runId: claim.runId, docKey: claim.docKey, seed: 1, model: 'demo' };
  await new FileImageStore(place.folder).put(
    { name: 'generated/a.png', png: new Uint8Array(8), metadata },
    { mayReplace: async () => true },
  );
  await place.queue.release(claim);
  const { events } = await work(place);
  const [completed] = events.filter((event) => event.type === 'completed');
  assert.deepEqual(Object.keys(completed?.durationsMs ?? {}), ['claim', 'store', 'complete']);
});

test('a stage that ends with an error counts too, and one that comes twice is added up', async () => {
  const times = new StageTimes();
  times.add('store', 2.4);
  times.add('store', 2.4);
  await assert.rejects(times.measure('complete', () => Promise.reject(new Error('no'))));
  assert.deepEqual(Object.keys(times.durationsMs), ['store', 'complete']);
  assert.equal(times.durationsMs.store, 5);
});
