/** Part of `npm run bench:queue`: what a claim costs by the number of pending documents, of models and of tenants, in both queues. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Db } from 'mongodb';
import type { ClaimOptions, PromptQueue } from '../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../src/queue/sqlite/sqlite-prompt-queue.ts';
import { fillMongo, fillSqlite, MODELS, TENANTS } from './queue-documents.ts';

const SELECTIONS: Readonly<Record<string, Omit<ClaimOptions, 'limit'>>> = {
  'all models': {},
  '1 model': { models: select(1) },
  '50 models': { models: select(50) },
  '50 models, by turns': { models: select(50), fair: true },
  '10 models, by turns': { models: select(10), fair: true },
  'a model without documents': { models: { named: ['another'], takesUnnamed: false } },
  'the same, by turns': { models: { named: ['another'], takesUnnamed: false }, fair: true },
};

function select(count: number): NonNullable<ClaimOptions['models']> {
  return { named: Array.from({ length: count }, (_, index) => `m${index}`), takesUnnamed: true };
}

export interface ClaimCosts {
  readonly db: Db;
  readonly openMongo: (collection: string) => PromptQueue;
  readonly sizes: readonly number[];
  readonly claims: number;
}

export async function claimCosts({ db, openMongo, sizes, claims }: ClaimCosts): Promise<void> {
  console.log(`\na claim of one document of ${MODELS} models and ${TENANTS} tenants (medians)`);
  const base = new Map<string, number>();
  const tell = async (name: string, size: number, queue: PromptQueue): Promise<void> => {
    for (const [label, options] of Object.entries(SELECTIONS)) {
      const ms = await medianMs(queue, options, claims);
      const key = `${name} ${label}`;
      const first = base.get(key) ?? ms;
      base.set(key, first);
      console.log(
        `${name} ${String(size).padStart(8)}  ${label.padEnd(26)} ${ms.toFixed(2).padStart(7)} ms, ${(ms / first).toFixed(2)} x of ${sizes[0]}`,
      );
    }
  };
  for (const size of sizes) {
    const collection = `claims${size}`;
    await fillMongo(db, { collection, size });
    await using queue = openMongo(collection);
    // Makes the indexes before anything is measured.
    await queue.claim({ limit: 1, models: select(1), fair: true });
    await tell('MongoDB', size, queue);
    await db.collection(collection).drop();
  }
  for (const size of sizes) {
    const folder = await mkdtemp(join(tmpdir(), 'text2img-bench-'));
    const path = join(folder, 'queue.sqlite');
    {
      await using queue = new SqlitePromptQueue({ path, leaseMs: 600_000, maxAttempts: 5, owner: 'bench' });
      fillSqlite({ path, size });
      await tell('SQLite ', size, queue);
    }
    await rm(folder, { recursive: true });
  }
}

async function medianMs(queue: PromptQueue, options: Omit<ClaimOptions, 'limit'>, count: number): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const beforeMs = performance.now();
    const claims = await queue.claim({ limit: 1, ...options });
    times.push(performance.now() - beforeMs);
    // The next claim finds as many documents.
    for (const claim of claims) await queue.release(claim);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
}
