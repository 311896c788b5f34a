/**
 * `npm run bench:queue`: what the MongoDB queue costs, and what the service adds to the drawing.
 *
 * One mongod of its own on this machine, so the figures compare within one run only: how claims change with the size of the collection, with
 * claimers that meet at its head, with models and tenants, and how long the engine waits between two batches.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MongoClient } from 'mongodb';
import { silentLogger } from '../src/observability/logger.ts';
import { MongoPromptQueue } from '../src/queue/mongo/mongo-prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../test/servers/find-mongod.ts';
import { GcsServer } from '../test/servers/gcs-server.ts';
import { MongoServers } from '../test/servers/mongod.ts';
import { claimCosts } from './queue-claims.ts';
import { scrapeCosts } from './queue-scrapes.ts';
import type { QueueWorkerReport } from './queue-worker.ts';

const { values } = parseArgs({
  options: {
    large: { type: 'string', default: '1000000' },
    claims: { type: 'string', default: '400' },
    /** One of `PARTS`; default: all. */
    part: { type: 'string' },
  },
});
const LARGE = Number(values.large);
const CLAIMS = Number(values.claims);
const WORKER = fileURLToPath(new URL('queue-worker.ts', import.meta.url));

const binary = await findMongod();
if (binary === undefined) {
  console.error(NO_MONGOD);
  process.exit(1);
}
await using servers = await MongoServers.standalone(binary);
await using client = new MongoClient(servers.uri('bench'));
const db = client.db();
const RECORD = { imageUrls: ['gs://b/x.png'], seed: 1, parameters: {}, warnings: [] };

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function openQueue(collection: string): MongoPromptQueue {
  return new MongoPromptQueue({
    uri: servers.uri('bench'),
    collection,
    leaseMs: 600_000,
    maxAttempts: 5,
    owner: 'bench',
    logger: silentLogger,
  });
}

async function fill(collection: string, count: number, status: string): Promise<void> {
  const batch = 20_000;
  for (let done = 0; done < count; done += batch) {
    const documents = Array.from({ length: Math.min(batch, count - done) }, (_, index) => ({
      text: `a prompt of some length, number ${done + index}`,
      status,
    }));
    await db.collection(collection).insertMany(documents, { ordered: false });
  }
}

interface Cost {
  readonly claimMs: number;
  readonly documentMs: number;
  readonly perSecond: number;
}

/** Claims and completes one document after the other. */
async function measure(queue: MongoPromptQueue, count: number): Promise<Cost> {
  const claims: number[] = [];
  const documents: number[] = [];
  const startedMs = performance.now();
  for (let index = 0; index < count; index++) {
    const beforeMs = performance.now();
    const [claimed] = await queue.claim({ limit: 1 });
    if (claimed === undefined) break;
    claims.push(performance.now() - beforeMs);
    await queue.complete(claimed, RECORD);
    documents.push(performance.now() - beforeMs);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  return { claimMs: median(claims), documentMs: median(documents), perSecond: documents.length / seconds };
}

async function bySize(): Promise<void> {
  console.log('\none claimer, one document at a time (medians)');
  const warmUp = openQueue('warm');
  await fill('warm', 500, 'pending');
  await measure(warmUp, 300);
  await warmUp[Symbol.asyncDispose]();
  const base = new Map<string, Cost>();
  for (const state of ['pending', 'completed'] as const) {
    for (const size of [1000, LARGE]) {
      const name = `${state}${size}`;
      await fill(name, size, state);
      if (state === 'completed') await fill(name, CLAIMS, 'pending');
      await using queue = openQueue(name);
      await queue.isDrained();
      const cost = await measure(queue, CLAIMS);
      if (size === 1000) base.set(state, cost);
      const ratio = cost.documentMs / (base.get(state)?.documentMs ?? Number.NaN);
      console.log(
        `${String(size).padStart(8)} ${state.padEnd(9)}  claim ${cost.claimMs.toFixed(2)} ms, claim and complete ${cost.documentMs.toFixed(2)} ms, ${cost.perSecond.toFixed(0)}/s, ${ratio.toFixed(2)} x of 1000`,
      );
      await db.collection(name).drop();
    }
  }
}

/** The same number of claimers, once on collections of their own and once on a shared one: the difference is what conflicts cost. */
async function byClaimers(): Promise<void> {
  console.log('\nclaimers at the head of one queue, against as many on queues of their own (time of a claim)');
  for (const claimers of [1, 8, 32]) {
    const medians: Record<string, string> = {};
    const found: Record<string, number> = {};
    for (const place of ['own', 'shared'] as const) {
      const each = Math.max(20, Math.round(CLAIMS / claimers));
      const names = Array.from({ length: claimers }, (_, index) =>
        place === 'own' ? `own${claimers}-${index}` : `shared${claimers}`,
      );
      for (const name of new Set(names)) await fill(name, place === 'own' ? each : each * claimers, 'pending');
      const queues = names.map(openQueue);
      for (const queue of queues) await queue.isDrained();
      const times = await Promise.all(queues.map((queue) => claimTimes(queue, each)));
      const all = times.flat().toSorted((a, b) => a - b);
      found[place] = median(all);
      medians[place] =
        `median ${median(all).toFixed(1)} ms, 95 % ${(all[Math.floor(all.length * 0.95)] ?? 0).toFixed(1)} ms, slowest ${(all.at(-1) ?? 0).toFixed(1)} ms`;
      await Promise.all(queues.map((queue) => queue[Symbol.asyncDispose]()));
      for (const name of new Set(names)) await db.collection(name).drop();
    }
    console.log(`${String(claimers).padStart(3)} own:    ${medians['own']}`);
    console.log(
      `${String(claimers).padStart(3)} shared: ${medians['shared']}; ${((found['shared'] ?? 0) / (found['own'] ?? 1)).toFixed(2)} x of own`,
    );
  }
}

async function claimTimes(queue: MongoPromptQueue, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const beforeMs = performance.now();
    const claimed = await queue.claim({ limit: 1 });
    if (claimed.length > 0) times.push(performance.now() - beforeMs);
  }
  return times;
}

async function overhead(): Promise<void> {
  console.log(
    '\nthe whole service with an engine that generates at once (processor time of the service’s own process) or in one second',
  );
  await using gcs = await GcsServer.start();
  for (const [label, count, fields] of [
    ['16 x 8', 300, { text: 'x' }],
    ['512 x 512', 300, { text: 'x', width: 512, height: 512 }],
    ['512 x 512, 1 s', 60, { text: '[slow 50]', num_inference_steps: 20, width: 512, height: 512 }],
  ] as const) {
    const collection = `service${count}`;
    await db.collection(collection).insertMany(Array.from({ length: count }, () => ({ ...fields, status: 'pending' })));
    const worker = fork(WORKER, [servers.uri('bench'), collection, gcs.url], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [report] = (await once(worker, 'message')) as [QueueWorkerReport];
    console.log(
      `${label.padEnd(16)} ${report.completed} documents: ${report.cpuMsPerDocument.toFixed(1)} ms of processor each (${report.laterCpuMsPerDocument.toFixed(1)} ms after the first ones); the engine waits ${report.gapMs.toFixed(1)} ms between batches, ${(100 * report.idleShare).toFixed(2)} % of the time`,
    );
    await once(worker, 'exit');
  }
}

const PARTS = {
  claimers: byClaimers,
  overhead,
  size: bySize,
  models: () => claimCosts({ db, openMongo: openQueue, sizes: [1000, LARGE], claims: CLAIMS }),
  scrapes: () => scrapeCosts({ db, openMongo: openQueue, large: LARGE }),
} as const;
console.log(
  `load of the machine before: ${loadavg()
    .map((load) => load.toFixed(1))
    .join(', ')} (1, 5, 15 minutes)`,
);
for (const [name, part] of Object.entries(PARTS)) if (values.part === undefined || values.part === name) await part();
