/** `/metrics` of a server whose worker is at work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../../src/observability/metrics.ts';
import type { PromptQueue } from '../../../src/queue/prompt-queue.ts';
import { clientRequests, send } from '../clients.ts';
import { serve } from '../served.ts';

async function scrape(url: string, headers: Record<string, string> = {}): Promise<ReadonlyMap<string, number>> {
  const answer = await fetch(new URL('/metrics', url), { headers });
  assert.equal(answer.status, 200);
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

function watch(metrics: Metrics, queue: PromptQueue): void {
  metrics.watchQueue({
    depth: (most) => queue.depth({ status: 'pending', most }),
    oldestPendingMs: () => queue.oldestPendingMs(),
  });
}

test('scrapes while jobs run see them come and go', async (t) => {
  const metrics = new Metrics({ keptMs: 0 });
  const served = await serve(t, {
    server: { metrics },
    worker: { onEvent: (event) => metrics.ofJob(event), maxAttempts: 1, batchSize: 1 },
  });
  watch(metrics, served.queue);
  const [doomed] = await served.queue.enqueue([
    { text: '[fail] a fox', priority: 1 },
    ...Array.from({ length: 6 }, (_, seed) => ({
      text: `[slow 60] fox ${seed}`,
      seed,
      width: 16,
      height: 8,
      num_inference_steps: 5,
    })),
  ]);
  assert.ok(doomed !== undefined);
  let most = 0;
  let isSteady = true;
  let steps = 0;
  for (;;) {
    const values = await scrape(served.url);
    most = Math.max(most, values.get('text2img_queue_depth') ?? 0);
    const now = values.get('text2img_steps_total') ?? 0;
    isSteady &&= now >= steps;
    steps = now;
    if (values.get('text2img_jobs_ended_total{end="completed",code=""}') === 6) break;
  }
  assert.ok(isSteady, 'a counter never falls');
  assert.ok(most >= 1 && most <= 7, `a scrape saw ${most} pending jobs`);
  const values = await scrape(served.url);
  assert.equal(values.get('text2img_queue_depth'), 0);
  assert.equal(values.get('text2img_queue_depth_capped'), 0);
  assert.equal(values.get('text2img_queue_oldest_pending_seconds'), 0);
  assert.equal(values.get('text2img_queue_up'), 1);
  assert.equal(values.get('text2img_jobs_ended_total{end="error",code="attempts_exhausted"}'), 1);
  assert.equal(values.get('text2img_attempts_total'), 7);
  assert.equal(values.get('text2img_images_total'), 6);
  assert.equal(values.get('text2img_pixels_total'), 6 * 16 * 8);
  assert.equal(values.get('text2img_stage_seconds_count{stage="denoise"}'), 6);
  const denoising = values.get('text2img_stage_seconds_sum{stage="denoise"}') ?? 0;
  assert.ok(denoising >= 6 * 5 * 0.06 * 0.9, `five steps of 60 ms each take their time: ${denoising}`);
  assert.ok((values.get('text2img_http_requests_total{method="GET",route="/metrics",status="200"}') ?? 0) >= 2);
});

test('a path that is no route counts without its name, and an error with its status', async (t) => {
  const metrics = new Metrics();
  const served = await serve(t, { worker: false, server: { metrics } });
  for (const path of ['/nothing/1', '/nothing/2']) await fetch(new URL(path, served.url));
  await fetch(new URL('/metrics', served.url), { method: 'POST' });
  const values = await scrape(served.url);
  assert.equal(values.get('text2img_http_requests_total{method="GET",route="none",status="404"}'), 2);
  assert.equal(values.get('text2img_http_requests_total{method="POST",route="none",status="405"}'), 1);
  assert.equal(values.get('text2img_http_request_seconds_count{route="none"}'), 3);
});

test('the page asks for a key where the server has keys', async (t) => {
  const served = await serve(t, { worker: false, keys: ['ann'], server: { metrics: new Metrics() } });
  assert.equal((await fetch(new URL('/metrics', served.url))).status, 401);
  const values = await scrape(served.url, { authorization: `Bearer ${served.secretOf('ann')}` });
  assert.equal(values.get('text2img_http_requests_total{method="GET",route="/metrics",status="401"}'), 1);
});

test('the probe of a benchmark client is answered on /metrics, without a body', async (t) => {
  const [probe, ...others] = await clientRequests(['/metrics']);
  assert.ok(probe !== undefined && others.length === 0);
  assert.deepEqual(probe.answer.needs, ['no body']);
  const served = await serve(t, { server: { metrics: new Metrics() }, worker: false });
  const answer = await send(served.url, probe, '');
  assert.equal(answer.status, probe.answer.status);
  assert.equal(await answer.text(), '');
});
