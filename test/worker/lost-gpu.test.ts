/** A GPU that is lost while it works costs no job an attempt: the claims go back, and a drain ends with the reason when it does not come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { EXIT_CODE_OF_FAULT } from '../../src/errors/error-codes.ts';
import type { WorkerEvent } from '../../src/worker/worker-contract.ts';
import { makeAilment } from '../engine/instant-engine.ts';
import { makePlace, QUICK_PATIENCE, states, until, watch, work } from './place.ts';

const IDS = ['a', 'b', 'c'];

test('a worker whose GPU is lost gives its claims back, and generates again when a new process finds the GPU', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x' })));
  await set('gpu lost');
  const worker = watch(place, {}, { environment });
  await until(() => worker.trouble() !== undefined);
  assert.equal(worker.trouble()?.source, 'engine');
  await until(async () => (await states(place, IDS)).every((state) => state === 'pending 0'));
  assert.match(worker.trouble()?.message ?? '', /hardware failed \(uncorrectable ECC error\)/);
  await set('no gpu');
  await until(() => /device_unavailable: CUDA sees no GPU/.test(worker.trouble()?.message ?? ''));
  await set('');
  await until(async () => (await place.queue.counts()).completed === IDS.length);
  assert.deepEqual(await states(place, IDS), Array(IDS.length).fill('completed 1'));
});

test('a drain whose GPU does not come back ends with exit code 5, and its jobs keep their attempts', async (t) => {
  const place = await makePlace(t);
  const { environment, set } = await makeAilment();
  await place.queue.enqueue(IDS.map((_id) => ({ _id, text: 'x' })));
  await set('gpu lost');
  const troublePatience = { ...QUICK_PATIENCE, drainMs: 100 };
  let claims = 0;
  const onEvent = ({ type }: WorkerEvent): void => void (type === 'claimed' && claims++);
  await assert.rejects(
    work(place, { batchSize: 1, maxAttempts: 1, troublePatience, onEvent }, { environment }),
    (error) => error instanceof Text2ImgError && EXIT_CODE_OF_FAULT[error.fault] === 5 && error.code === 'device_lost',
  );
  assert.ok(claims > 0);
  assert.deepEqual(await states(place, IDS), Array(IDS.length).fill('pending 0'));
});
