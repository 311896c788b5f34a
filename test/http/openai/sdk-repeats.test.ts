/** Requests that OpenAI's SDK for Node repeats: after 429, 503 and a timeout, and with the same `Idempotency-Key`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type OpenAI from 'openai';
import { RateLimitError, UnprocessableEntityError } from 'openai';
import { type Served, serve } from '../served.ts';
import { recordingFetch } from './recording-fetch.ts';
import { clientOf, errorOf, isPng, jobsOf } from './sdk-client.ts';

test('the same Idempotency-Key gives the same image, and with another body an UnprocessableEntityError', async (t) => {
  const served = await serve(t);
  const { images } = clientOf(served);
  const options = { headers: { 'Idempotency-Key': 'k1' } };
  const [one, other] = [
    await images.generate({ prompt: 'a fox' }, options),
    await images.generate({ prompt: 'a fox' }, options),
  ];
  assert.equal(one.data?.[0]?.b64_json, other.data?.[0]?.b64_json);
  assert.equal((await jobsOf(served)).length, 1);
  const error = await errorOf(images.generate({ prompt: 'a wolf' }, options), UnprocessableEntityError);
  assert.equal(error.code, 'idempotency_mismatch');
});

test('the SDK repeats a request after 429 and gets its image', async (t) => {
  const served = await serve(t, { worker: false, limits: { maxQueueLength: 1 } });
  const [inTheWay = ''] = (await served.queue.enqueue([{ text: 'in the way' }])).map(String);
  const refusal = await errorOf(
    clientOf(served, { maxRetries: 0 }).images.generate({ prompt: 'a fox' }),
    RateLimitError,
  );
  assert.deepEqual([refusal.code, refusal.type], ['too_many_pending', 'rate_limit_error']);
  let other: Served | undefined;
  const { fetch, exchanges } = recordingFetch({
    // The server counts its queue every few seconds.
    pauseMs: 500,
    onError: async () => {
      await served.queue.cancel(inTheWay);
      other ??= await serve(t, { folder: served.folder });
    },
  });
  const answer = await clientOf(served, { fetch, maxRetries: 60 }).images.generate({ prompt: 'a fox' });
  await other?.stop();
  isPng(answer.data?.[0]?.b64_json);
  const [first] = exchanges;
  assert.deepEqual([first?.status, first?.headers.get('x-should-retry')], [429, 'true']);
  assert.equal(exchanges.at(-1)?.status, 200);
  const seconds = Number(first?.headers.get('retry-after'));
  assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, `retry-after: ${seconds}`);
});

test('the SDK repeats a request after 503 and gets its image', async (t) => {
  const served = await serve(t, { limits: { maxWaiting: 1 } });
  const slow = clientOf(served).images.generate({ prompt: 'a fox [slow 100]' });
  while ((await jobsOf(served)).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const { fetch, exchanges } = recordingFetch({ onError: async () => void (await slow) });
  const answer = await clientOf(served, { fetch }).images.generate({ prompt: 'a wolf' });
  isPng(answer.data?.[0]?.b64_json);
  assert.deepEqual(
    exchanges.map(({ status }) => status),
    [503, 200],
  );
});

test('a request that is repeated after a timeout takes over the job of the first one', async (t) => {
  const served = await serve(t);
  // Three steps of 600 ms: the first request is dropped, and a later one waits for the same job.
  const client = clientOf(served, { timeout: 1000, maxRetries: 5 });
  const answer = await client.images.generate({ prompt: 'a fox [slow 600]', seed: 5 } as never);
  isPng((answer as OpenAI.ImagesResponse).data?.[0]?.b64_json);
  assert.equal((await jobsOf(served)).length, 1, 'generated once');
});
