/** The server itself, over a real queue and a worker: routes, errors, ids, keys and what clients get wrong about URLs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from './served.ts';
import { WAITING_DOOR } from './waiting-door.ts';

const doors = [WAITING_DOOR];
const SMALL = { text: 'a fox', width: 8, height: 8, num_inference_steps: 2 };

test('a request waits for its job, and its image is in the store', async (t) => {
  const served = await serve(t, { doors });
  const answer = await fetch(`${served.url}/test/generate`, { method: 'POST', body: JSON.stringify(SMALL) });
  assert.equal(answer.status, 200);
  const { id } = (await answer.json()) as { id: string };
  const caller = {
    key: undefined,
    requestId: 'test',
    retryCount: 0,
    gone: new AbortController().signal,
    door: 'jobs',
    host: served.url,
  } as const;
  const [image, ...others] = await served.front.images(caller, id);
  assert.equal(others.length, 0);
  assert.equal(
    Buffer.from((await image?.read()) ?? [])
      .subarray(1, 4)
      .toString(),
    'PNG',
  );
});

test('/livez and /readyz answer without a key', async (t) => {
  const served = await serve(t, { doors, keys: ['alice'], worker: false });
  for (const path of ['/livez', '/readyz']) assert.equal((await fetch(`${served.url}${path}`)).status, 200, path);
  served.lifecycle.drain();
  assert.equal((await fetch(`${served.url}/livez`)).status, 200);
  assert.equal((await fetch(`${served.url}/readyz`)).status, 503);
});
