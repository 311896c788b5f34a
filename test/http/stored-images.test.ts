/** The images of a job that is gone in between: an error, never an empty success. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storedImages } from '../../src/http/front/stored-images.ts';
import { DEFAULT_OBJECT_PREFIX } from '../../src/storage/object-prefix.ts';
import { serve } from './served.ts';
import { clientOf, jobsOf } from './openai/sdk-client.ts';

test('a job that is deleted after it was read has no images, and that is an error', async (t) => {
  const served = await serve(t);
  await clientOf(served).images.generate({ prompt: 'a fox', size: '16x8' });
  const [id = ''] = await jobsOf(served);
  const job = await served.queue.show(id);
  assert.ok(job !== undefined);
  const places = { queue: served.queue, store: served.store, objectPrefix: DEFAULT_OBJECT_PREFIX };
  assert.equal((await storedImages(job, places)).length, 1);
  await served.queue.remove(id);
  await assert.rejects(storedImages(job, places), { code: 'deleted' });
});
