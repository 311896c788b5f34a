/** What a scrape costs does not depend on how many documents the queue holds. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Metrics, MOST_COUNTED } from '../../../src/observability/metrics.ts';
import { SqlitePromptQueue } from '../../../src/queue/sqlite/sqlite-prompt-queue.ts';

const SMALL = 2 * MOST_COUNTED;
const TIMES = 10;

async function scrapeMs(t: TestContext, pending: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-scrape-'));
  const queue = new SqlitePromptQueue({ path: join(folder, 'q.sqlite'), leaseMs: 60_000, maxAttempts: 5, owner: 'w' });
  t.after(async () => {
    await queue[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  const batch = Array.from({ length: MOST_COUNTED }, (_, index) => ({ text: `prompt ${index}` }));
  for (let added = 0; added < pending; added += batch.length) await queue.enqueue(batch);
  const metrics = new Metrics({ keptMs: 0 });
  metrics.watchQueue({
    depth: (most) => queue.depth({ status: 'pending', most }),
    oldestPendingMs: () => queue.oldestPendingMs(),
  });
  assert.match(await metrics.page(), new RegExp(`^text2img_queue_depth ${MOST_COUNTED}$`, 'm'));
  assert.match(await metrics.page(), /^text2img_queue_depth_capped 1$/m);
  let best = Infinity;
  for (let run = 0; run < TIMES; run++) {
    const beganMs = performance.now();
    await metrics.page();
    best = Math.min(best, performance.now() - beganMs);
  }
  return best;
}

test('a scrape of ten times as many documents takes about as long', async (t) => {
  const [few, many] = [await scrapeMs(t, SMALL), await scrapeMs(t, 10 * SMALL)];
  // A count of all documents takes ten times as long.
  assert.ok(many < 3 * few, `${few.toFixed(1)} ms with ${SMALL}, ${many.toFixed(1)} ms with ${10 * SMALL} documents`);
});
