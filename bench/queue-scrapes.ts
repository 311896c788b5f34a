/**
 * Part of `npm run bench:queue`: what one scrape of `/metrics` costs by the number of documents, in both queues. Each scrape looks at the queue anew; a
 * server keeps a look for five seconds, so that scrapes in between cost nothing here.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Db } from 'mongodb';
import { listenForScrapes } from '../src/http/metrics/metrics-listener.ts';
import { silentLogger } from '../src/observability/logger.ts';
import { Metrics, MOST_COUNTED } from '../src/observability/metrics.ts';
import type { PromptQueue } from '../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../src/queue/sqlite/sqlite-prompt-queue.ts';
import { fillMongo, fillSqlite } from './queue-documents.ts';

const SCRAPES = 50;
const FEW = 1000;

interface Filling {
  readonly pending: number;
  readonly completed: number;
}

export interface ScrapeCosts {
  readonly db: Db;
  readonly openMongo: (collection: string) => PromptQueue;
  readonly large: number;
}

export async function scrapeCosts({ db, openMongo, large }: ScrapeCosts): Promise<void> {
  console.log(
    `\na scrape of /metrics (of ${SCRAPES}: median, slowest); the depth is counted up to ${MOST_COUNTED}, so from there on it costs the same`,
  );
  const fillings: readonly Filling[] = [
    { pending: FEW, completed: 0 },
    { pending: FEW, completed: large },
    { pending: 2 * MOST_COUNTED, completed: 0 },
    { pending: large, completed: 0 },
  ];
  for (const filling of fillings) {
    const collection = `scrapes${filling.pending}-${filling.completed}`;
    await fillMongo(db, { collection, size: filling.pending });
    if (filling.completed > 0) await fillMongo(db, { collection, size: filling.completed, status: 'completed' });
    {
      await using queue = openMongo(collection);
      await tell('MongoDB', filling, queue);
    }
    await db.collection(collection).drop();
  }
  for (const filling of fillings) {
    const folder = await mkdtemp(join(tmpdir(), 'text2img-bench-'));
    const path = join(folder, 'queue.sqlite');
    {
      await using queue = new SqlitePromptQueue({ path, leaseMs: 600_000, maxAttempts: 5, owner: 'bench' });
      fillSqlite({ path, size: filling.pending });
      if (filling.completed > 0) fillSqlite({ path, size: filling.completed, status: 'completed' });
      await tell('SQLite ', filling, queue);
    }
    await rm(folder, { recursive: true });
  }
}

async function tell(name: string, { pending, completed }: Filling, queue: PromptQueue): Promise<void> {
  // Makes the indexes before anything is measured, as the first worker does.
  for (const claim of await queue.claim({ limit: 1 })) await queue.release(claim);
  const sorted = (await scrapesMs(queue)).toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const counts = `${String(pending).padStart(8)} pending ${String(completed).padStart(8)} completed`;
  console.log(`${name} ${counts}: ${median.toFixed(1).padStart(6)} ms, ${(sorted.at(-1) ?? Number.NaN).toFixed(1)} ms`);
}

async function scrapesMs(queue: PromptQueue): Promise<readonly number[]> {
  const metrics = new Metrics({ keptMs: 0 });
  metrics.watchQueue({
    depth: (most) => queue.depth({ status: 'pending', most }),
    oldestPendingMs: () => queue.oldestPendingMs(),
  });
  await using listener = await listenForScrapes(metrics, { host: '127.0.0.1', port: 0 }, silentLogger);
  const times: number[] = [];
  for (let scrape = -5; scrape < SCRAPES; scrape++) {
    const beganMs = performance.now();
    const page = await (await fetch(listener.url)).text();
    if (!page.includes('text2img_queue_up 1')) throw new Error('the queue could not be read for a scrape');
    if (scrape >= 0) times.push(performance.now() - beganMs);
  }
  return times;
}
