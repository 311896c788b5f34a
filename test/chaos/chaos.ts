/**
 * Chaos: six workers, two servers with their clients, a replica set of three, a bucket and a webhook, and everything goes wrong that may. Then it is
 * healed and drained, and what must hold is checked. Two minutes take about two and a half altogether.
 *
 *     npm run chaos -- --seconds 120 --seed 7
 *     npm run chaos -- --documents 10000
 *     npm run chaos -- --servers 0
 *     npm run chaos -- --record requests.json
 *
 * The same seed gives the same faults in the same order; the operating system decides what they hit.
 *
 *     stage/         what it plays on: database, bucket, webhook, models, keys, workers, servers
 *     producer.ts    inserts documents, and disturbs them
 *     clients/       ask the servers
 *     faults/        what goes wrong
 *     invariants.ts  what must hold, and which promise it proves; verdict/ checks it
 *     coverage.ts    what a run should meet
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clients } from './clients/clients.ts';
import { coverageLines, isFault } from './coverage.ts';
import { Faults } from './faults/faults.ts';
import { textOf } from './invariants.ts';
import { Producer } from './producer.ts';
import { Random } from './random.ts';
import { COLLECTION } from './settings.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { Stage } from './stage/stage.ts';
import { clientMeetings, findingsOf } from './verdict/client-findings.ts';
import { judgeClients } from './verdict/client-verdict.ts';
import { judge } from './verdict/document-verdict.ts';
import { readHistory } from './verdict/history.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Goes on until so many were inserted, however long that takes. */
    documents: { type: 'string', default: '0' },
    /** Of `text2img serve`, with clients; 0: neither. */
    servers: { type: 'string', default: '2' },
    /** A file for all requests with their attempts and documents: what to read after a violation. */
    record: { type: 'string' },
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
const tell = (what: string): void => console.log(`${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${what}`);

await using stage = await Stage.open(binary, new Random(seed), Number(values.servers));
const producer = new Producer(stage, new Random(seed + 1));
const clients = new Clients({
  servers: stage.httpServers,
  secretOf: (key) => stage.keys.secretOf(key),
  random: new Random(seed + 3),
});
const faults = new Faults({ stage, producer, random: new Random(seed + 2) });
const hasClients = stage.httpServers.length > 0;

async function untilOver(): Promise<void> {
  const isOver = (): boolean =>
    wanted > 0 ? producer.inserted.size >= wanted : performance.now() - startedMs > Number(values.seconds) * 1000;
  const ended = new AbortController();
  const producing = producer.run(ended.signal);
  const failing = faults.run(ended.signal);
  if (hasClients) clients.run(ended.signal);
  for (let nextReportMs = 10_000; !isOver(); await sleep(200)) {
    if (performance.now() - startedMs < nextReportMs) continue;
    nextReportMs += 10_000;
    const { length: asked } = clients.requests;
    tell(`${producer.inserted.size} documents, ${asked} requests, ${JSON.stringify(faults.counts)}`);
  }
  ended.abort();
  await Promise.all([producing, failing]);
}

async function untilQuiet(): Promise<void> {
  tell('healing');
  await faults.heal();
  await clients.untilAnswered();
  tell(`${clients.requests.length} requests answered`);
  await stage.untilDrained(producer.disturbed);
  tell('drained');
}

await untilOver();
await untilQuiet();
const history = await readHistory(stage.client, `${stage.database}.${COLLECTION}`);
const { requests } = clients;
const {
  violations: ofClients,
  madeBy,
  mayBeCancelled,
} = judgeClients({
  requests,
  documents: await stage.prompts.find({ text: /^client / }).toArray(),
  history,
  objectOf: (name) => stage.gcs.object(name)?.bytes,
  renames: stage.renames,
  carriedOver: stage.carriedOver,
});
const { violations: ofDocuments, ...findings } = await judge({
  client: stage.client,
  database: stage.database,
  completions: history.completions,
  carriedOver: stage.carriedOver,
  mayBeCancelled,
  gcs: stage.gcs,
  webhooks: stage.webhooks,
  inserted: producer.inserted,
  disturbed: producer.disturbed,
  forged: producer.forged,
});
const violations = [...ofDocuments, ...ofClients];
const facts = { requests, madeBy, lives: stage.httpServers.flatMap(({ lives }) => lives) };
const met = hasClients ? [...clients.meetings(), ...clientMeetings(facts)] : [];
const meetings = [...faults.meetings(), ...stage.peers.meetings(), ...met];
const shown = Object.fromEntries(meetings.map(({ what, times }) => [what, times]));
tell(`documents: ${JSON.stringify(findings)}`);
if (hasClients) tell(`requests: ${JSON.stringify(findingsOf(facts))}`);
tell(`met: ${JSON.stringify(shown)}`);
if (values.record !== undefined)
  writeFileSync(
    values.record,
    JSON.stringify(
      requests.map((request) => ({ ...request, documents: madeBy.get(request.number) })),
      null,
      1,
    ),
  );
for (const one of violations.slice(0, 50)) console.error(`VIOLATION of ${textOf(one)}`);
for (const line of coverageLines(meetings)) console.error(line);
tell(`${findings.documents} documents, ${requests.length} requests, ${violations.length} violations (seed ${seed})`);
process.exitCode = violations.length === 0 && !meetings.some(isFault) && findings.completed > 0 ? 0 : 1;
