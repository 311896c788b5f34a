/** The metrics: what is counted, under which names, and what a scrape costs and survives. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Metrics, MOST_COUNTED } from '../../src/observability/metrics.ts';
import { METRICS, type MetricSpec } from '../../src/observability/metrics-table.ts';
import { metricsPage } from '../../scripts/metrics-page.ts';

const SPECS = Object.values<MetricSpec>(METRICS);

/** `text2img_jobs_ended_total{end="completed",code=""}` → 1 */
function valuesOf(page: string): ReadonlyMap<string, number> {
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

async function scrape(metrics: Metrics): Promise<ReadonlyMap<string, number>> {
  return valuesOf(await metrics.page());
}

test('docs/metrics.md is what `npm run pages` writes', async () => {
  const page = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  assert.ok(page === metricsPage(), 'docs/metrics.md is not what the table says; run: npm run pages');
});

test('names follow the conventions of Prometheus: a prefix, base units, and _total behind counters only', () => {
  for (const { name, kind } of SPECS) {
    assert.match(name, /^text2img_[a-z]+(?:_[a-z]+)*$/);
    assert.equal(name.endsWith('_total'), kind === 'counter', name);
    if (kind === 'histogram') assert.match(name, /_seconds$/);
    assert.doesNotMatch(name, /_(?:ms|minutes|milliseconds)(?:_|$)/);
  }
  assert.equal(new Set(SPECS.map(({ name }) => name)).size, SPECS.length);
});

test('a page has every metric of the table, and the process’s own', async () => {
  const page = await new Metrics().page();
  for (const { name, kind, help } of SPECS) {
    assert.ok(page.includes(`# TYPE ${name} ${kind}\n`), name);
    assert.ok(page.includes(`# HELP ${name} ${help}.\n`), name);
  }
  assert.match(page, /^process_resident_memory_bytes \d/m);
});

test('jobs are counted by their end and code, attempts and retries beside them', async () => {
  const metrics = new Metrics();
  for (const id of ['a', 'b', 'c', 'd', 'e']) metrics.ofJob({ type: 'claimed', id });
  metrics.ofJob({
    type: 'completed',
    id: 'a',
    imageUrls: ['gs://b/1.png', 'gs://b/2.png'],
    parameters: { width: 16, height: 8 },
    durationsMs: { claim: 4, denoise: 2500 },
  });
  metrics.ofJob({ type: 'failed', id: 'b', code: 'inference_failed' });
  metrics.ofJob({ type: 'retried', id: 'c', code: 'engine_crashed' });
  metrics.ofJob({ type: 'released', id: 'd' });
  metrics.ofJob({ type: 'lost', id: 'e' });
  const values = await scrape(metrics);
  assert.equal(values.get('text2img_attempts_total'), 5);
  assert.equal(values.get('text2img_jobs_ended_total{end="completed",code=""}'), 1);
  assert.equal(values.get('text2img_jobs_ended_total{end="error",code="inference_failed"}'), 1);
  assert.equal(values.get('text2img_retries_total{code="engine_crashed"}'), 1);
  assert.equal(values.get('text2img_claims_given_up_total{reason="released"}'), 1);
  assert.equal(values.get('text2img_claims_given_up_total{reason="lost"}'), 1);
  assert.equal(values.get('text2img_images_total'), 2);
  assert.equal(values.get('text2img_pixels_total'), 2 * 16 * 8);
  assert.equal(values.get('text2img_stage_seconds_sum{stage="denoise"}'), 2.5);
  assert.equal(values.get('text2img_stage_seconds_bucket{le="1",stage="denoise"}'), 0);
  assert.equal(values.get('text2img_stage_seconds_bucket{le="3",stage="denoise"}'), 1);
});

test('steps are counted once each, in jobs side by side and in a second attempt', async () => {
  const metrics = new Metrics();
  const steps = (id: string, ...done: readonly number[]): void => {
    for (const step of done) metrics.ofJob({ type: 'progress', id, step });
  };
  steps('a', 0, 1, 1, 3);
  steps('b', 2);
  steps('a', 2, 4);
  assert.equal((await scrape(metrics)).get('text2img_steps_total'), 6);
  metrics.ofJob({ type: 'retried', id: 'a', code: 'inference_failed' });
  steps('a', 1, 2);
  assert.equal((await scrape(metrics)).get('text2img_steps_total'), 8);
});

test('webhooks count by outcome, and their lag since the end of the job when they arrive', async () => {
  const metrics = new Metrics();
  metrics.ofWebhook('retry', 2000);
  metrics.ofWebhook('delivered', 7000);
  metrics.ofWebhook('delivered', undefined);
  metrics.ofWebhook('dead');
  const values = await scrape(metrics);
  assert.equal(values.get('text2img_webhook_attempts_total{outcome="delivered"}'), 2);
  assert.equal(values.get('text2img_webhook_attempts_total{outcome="retry"}'), 1);
  assert.equal(values.get('text2img_webhook_attempts_total{outcome="dead"}'), 1);
  assert.equal(values.get('text2img_webhook_lag_seconds_sum'), 7);
  assert.equal(values.get('text2img_webhook_lag_seconds_count'), 1);
});

test('requests count by route pattern and status', async () => {
  const metrics = new Metrics();
  metrics.ofRequest({ method: 'GET', route: '/api/v1/prompts/:id', status: 404, seconds: 0.01 });
  metrics.ofRequest({ method: 'GET', route: '/api/v1/prompts/:id', status: 200, seconds: 2 });
  const values = await scrape(metrics);
  assert.equal(values.get('text2img_http_requests_total{method="GET",route="/api/v1/prompts/:id",status="404"}'), 1);
  assert.equal(values.get('text2img_http_request_seconds_count{route="/api/v1/prompts/:id"}'), 2);
});

test('the depth of the queue stops at its cap and says so', async () => {
  for (const [pending, depth, capped] of [
    [0, 0, 0],
    [MOST_COUNTED, MOST_COUNTED, 0],
    [MOST_COUNTED + 1, MOST_COUNTED, 1],
  ] as const) {
    const metrics = new Metrics();
    const asked: number[] = [];
    metrics.watchQueue({
      depth: async (most) => {
        asked.push(most);
        return Math.min(pending, most);
      },
      oldestPendingMs: async () => (pending === 0 ? undefined : 90_000),
    });
    const values = await scrape(metrics);
    assert.equal(values.get('text2img_queue_depth'), depth);
    assert.equal(values.get('text2img_queue_depth_capped'), capped);
    assert.equal(values.get('text2img_queue_oldest_pending_seconds'), pending === 0 ? 0 : 90);
    assert.equal(values.get('text2img_queue_up'), 1);
    assert.deepEqual(asked, [MOST_COUNTED + 1], 'one bounded count');
  }
});

test('scrapes that come at once share one look at the queue', async () => {
  const metrics = new Metrics();
  let looks = 0;
  metrics.watchQueue({ depth: async () => ++looks, oldestPendingMs: async () => undefined });
  await Promise.all([metrics.page(), metrics.page(), metrics.page()]);
  await metrics.page();
  assert.equal(looks, 1);
});

test('a queue that cannot be read leaves the other metrics, and no stale figures', async () => {
  const metrics = new Metrics({ keptMs: 0 });
  let isDown = false;
  metrics.watchQueue({
    depth: async () => {
      if (isDown) throw new Error('the database is down');
      return 7;
    },
    oldestPendingMs: async () => 1000,
  });
  assert.equal((await scrape(metrics)).get('text2img_queue_depth'), 7);
  isDown = true;
  metrics.ofJob({ type: 'claimed', id: 'a' });
  const values = await scrape(metrics);
  assert.equal(values.get('text2img_queue_up'), 0);
  assert.ok(Number.isNaN(values.get('text2img_queue_depth')));
  assert.ok(Number.isNaN(values.get('text2img_queue_oldest_pending_seconds')));
  assert.equal(values.get('text2img_attempts_total'), 1);
});

test('a queue that never answers does not hold the scrape', async () => {
  const metrics = new Metrics();
  metrics.watchQueue({ depth: () => new Promise(() => {}), oldestPendingMs: async () => 1 });
  assert.equal((await scrape(metrics)).get('text2img_queue_up'), 0);
});
