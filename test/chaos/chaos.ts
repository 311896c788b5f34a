/**
 * Chaos: six workers, two servers with their clients, a replica set of three, a bucket and a webhook, and everything goes wrong that may. Then it is
 * healed and drained, and what must hold is checked.
 *
 *     npm run chaos -- --seconds 120 --seed 7
 *     npm run chaos -- --documents 10000
 *     npm run chaos -- --servers 0
 *
 * The same seed gives the same faults in the same order; the operating system decides what they hit.
 */
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clients } from './clients.ts';
import { judgeClients } from './client-verdict.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { Faults } from './faults.ts';
import { Producer } from './producer.ts';
import { Random } from './random.ts';
import { Stage } from './stage.ts';
import { judge } from './verdict.ts';
import { COLLECTION } from './settings.ts';
import { readHistory } from './history.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Goes on until so many were inserted, however long that takes. */
    documents: { type: 'string', default: '0' },
    /** Of `text2img serve`, with clients; 0: neither. */
    servers: { type: 'string', default: '2' },
  },
});
const binary = await findMongod();
if (binary === undefined) {
  console.error(NO_MONGOD);
  process.exit(1);
}
const seed = Number(values.seed);
const wanted = Number(values.documents);
console.log(`chaos: seed ${seed}, ${wanted > 0 ? `${wanted} documents` : `${values.seconds} s`}`);
const startedMs = performance.now();
const elapsed = (): string => `${((performance.now() - startedMs) / 1000).toFixed(0)} s`;

await using stage = await Stage.open(binary, new Random(seed), Number(values.servers));
const producer = new Producer(stage, new Random(seed + 1));
const clients = new Clients({ servers: stage.httpServers, random: new Random(seed + 3) });
const faults = new Faults({ stage, producer, random: new Random(seed + 2) });
const isOver = (): boolean =>
  wanted > 0 ? producer.inserted.size >= wanted : performance.now() - startedMs > Number(values.seconds) * 1000;
const ended = new AbortController();
const producing = producer.run(ended.signal);
const failing = faults.run(ended.signal);
const hasClients = stage.httpServers.length > 0;
if (hasClients) clients.run(ended.signal);
for (let nextReportMs = 10_000; !isOver(); await sleep(200)) {
  if (performance.now() - startedMs < nextReportMs) continue;
  nextReportMs += 10_000;
  const { inserted } = producer;
  const { length: asked } = clients.requests;
  console.log(`${elapsed()}: ${inserted.size} documents, ${asked} requests, ${JSON.stringify(faults.counts)}`);
}
ended.abort();
await Promise.all([producing, failing]);
console.log(`${elapsed()}: healing`);
await faults.heal();
await clients.untilAnswered();
console.log(`${elapsed()}: ${clients.requests.length} requests answered`);
await stage.untilDrained(producer.disturbed);
console.log(`${elapsed()}: drained`);
const history = await readHistory(stage.client, `${stage.database}.${COLLECTION}`);
const asked = judgeClients({
  requests: clients.requests,
  documents: await stage.prompts.find({ text: /^client / }).toArray(),
  history,
  objectOf: (name) => stage.gcs.object(name)?.bytes,
  renames: stage.renames,
  carriedOver: stage.carriedOver,
});
const { violations, ...findings } = await judge({
  client: stage.client,
  database: stage.database,
  completions: history.completions,
  mayBeCancelled: asked.mayBeCancelled,
  gcs: stage.gcs,
  webhooks: stage.webhooks,
  inserted: producer.inserted,
  disturbed: producer.disturbed,
  forged: producer.forged,
});
console.log(`${elapsed()}: ${JSON.stringify({ ...findings, faults: faults.counts, ...stage.peers.counts })}`);
console.log(`${elapsed()}: ${JSON.stringify(asked.findings)}`);
violations.push(...asked.violations);
for (const violation of violations.slice(0, 50)) console.error(`VIOLATION: ${violation}`);
console.log(
  `${findings.documents} documents, ${clients.requests.length} requests, ${violations.length} violations (seed ${seed})`,
);
const missing = [...faults.missing(), ...stage.peers.missing(), ...(hasClients ? clients.missing() : [])];
if (missing.length > 0)
  console.error(`these kinds of faults never came, so that nothing is known of them: ${missing.join(', ')}`);
process.exitCode = violations.length === 0 && missing.length === 0 && findings.completed > 0 ? 0 : 1;
