/**
 * `npm run bench:http`: what the server adds to the engine. The engine needs no time, so every millisecond is the server's, the queue's and the worker's.
 *
 * Requests a second; how long after the end of its job a request is answered, with 1, 100 and 500 requests that wait; and the memory of a request that
 * waits. On the embedded queue and on MongoDB. Client and server share this machine.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findMongod, NO_MONGOD } from '../test/servers/find-mongod.ts';
import { MongoServers } from '../test/servers/mongod.ts';
import type { Asked, HttpServerSettings, Told } from './http-server.ts';
import { watchOthers } from './other-programs.ts';
import { RESULTS_FOLDER, thisMachine } from './results.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    queues: { type: 'string', default: 'embedded,standalone,replica-set' },
  },
});
const SECONDS = Number(values.seconds);
const CLIENTS = 64;
const WAITERS = [1, 100, 500];
/** Answers that a percentile is taken from. */
const MOST_SAMPLES = 500;
const SERVER = fileURLToPath(new URL('http-server.ts', import.meta.url));
const BODY = JSON.stringify({ prompt: 'a red fox', size: '64x64', response_format: 'b64_json' });

interface Server extends AsyncDisposable {
  readonly url: string;
  ask<Type extends Asked['type']>(asked: Extract<Asked, { type: Type }>): Promise<Extract<Told, { type: Type }>>;
}

async function startServer(settings: HttpServerSettings): Promise<Server> {
  const child = fork(SERVER, [JSON.stringify(settings)], {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
  });
  const { url } = await told(child, 'listening');
  return {
    url,
    ask: (asked) => {
      const answer = told(child, asked.type);
      child.send(asked);
      return answer;
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

async function told<Type extends Told['type']>(
  child: ChildProcess,
  type: Type,
): Promise<Extract<Told, { type: Type }>> {
  for (;;) {
    const [message] = (await once(child, 'message')) as [Told];
    if (message.type === type) return message as Extract<Told, { type: Type }>;
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

interface Answer {
  readonly id: string;
  /** On the same clock as the queue's. */
  readonly atMs: number;
}

async function call(url: string, { path, body }: { readonly path: string; readonly body?: string }): Promise<Answer> {
  const method = body === undefined ? 'GET' : 'POST';
  const sent = request(new URL(path, url), { method, agent, headers: { 'content-type': 'application/json' } });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  if (answer.statusCode !== 200) throw new Error(`${method} ${path} was answered ${answer.statusCode}`);
  return { id: String(answer.headers['text2img-id'] ?? ''), atMs: Date.now() };
}

const generate = (url: string): Promise<Answer> => call(url, { path: '/v1/images/generations', body: BODY });

/** Answers a second, from so many clients that ask again as soon as they are answered. */
async function perSecond(clients: number, ask: () => Promise<unknown>): Promise<number> {
  const endMs = performance.now() + SECONDS * 1000;
  let answers = 0;
  const beganMs = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < endMs) {
        await ask();
        answers++;
      }
    }),
  );
  return answers / ((performance.now() - beganMs) / 1000);
}

/** Milliseconds between the end of each job and its answer. */
async function lateness(server: Server, waiters: number): Promise<readonly number[]> {
  const rounds = Math.max(1, Math.min(100, Math.ceil(MOST_SAMPLES / waiters)));
  const late: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const answers = await Promise.all(Array.from({ length: waiters }, () => generate(server.url)));
    const { atMs } = await server.ask({ type: 'ended', ids: answers.map(({ id }) => id) });
    late.push(...answers.map((answer, index) => answer.atMs - (atMs[index] ?? Number.NaN)));
  }
  return late.toSorted((a, b) => a - b);
}

/** Bytes of a request that waits, without a worker that would end it. */
async function bytesOfWaiter(settings: HttpServerSettings, waiters: number): Promise<number> {
  await using server = await startServer({ ...settings, worker: false });
  await call(server.url, { path: '/livez' });
  const before = await server.ask({ type: 'memory' });
  for (let index = 0; index < waiters; index++) void generate(server.url).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const after = await server.ask({ type: 'memory' });
  return (after.bytes - before.bytes) / waiters;
}

function share(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

interface Row {
  readonly queue: string;
  readonly generationsPerSecond: number;
  readonly livezPerSecond: number;
  readonly answeredAfterEndMs: readonly { readonly waiters: number; readonly median: number; readonly p99: number }[];
  readonly kilobytesPerWaiter: number;
}

async function measure(queue: string, mongoUri?: string): Promise<Row> {
  const settings = { worker: true, ...(mongoUri === undefined ? {} : { mongoUri }) };
  const answeredAfterEndMs: { readonly waiters: number; readonly median: number; readonly p99: number }[] = [];
  let rates = { generationsPerSecond: Number.NaN, livezPerSecond: Number.NaN };
  {
    await using server = await startServer(settings);
    await generate(server.url);
    rates = {
      livezPerSecond: Math.round(await perSecond(CLIENTS, () => call(server.url, { path: '/livez' }))),
      generationsPerSecond: Math.round(await perSecond(CLIENTS, () => generate(server.url))),
    };
    for (const waiters of WAITERS) {
      const late = await lateness(server, waiters);
      answeredAfterEndMs.push({ waiters, median: share(late, 0.5), p99: share(late, 0.99) });
    }
  }
  const bytes = await bytesOfWaiter(settings, 500);
  const row = { queue, ...rates, answeredAfterEndMs, kilobytesPerWaiter: Math.round(bytes / 1024) };
  console.log(JSON.stringify(row));
  return row;
}

async function measureAll(queues: readonly string[]): Promise<readonly Row[]> {
  const rows: Row[] = [];
  if (queues.includes('embedded')) rows.push(await measure('embedded'));
  const binary = await findMongod();
  if (binary === undefined) {
    console.error(NO_MONGOD);
    return rows;
  }
  if (queues.includes('standalone')) {
    await using servers = await MongoServers.standalone(binary);
    rows.push(await measure('MongoDB, standalone', servers.uri('bench')));
  }
  if (queues.includes('replica-set')) {
    await using servers = await MongoServers.replicaSet(binary);
    rows.push(await measure('MongoDB, replica set', servers.uri('bench')));
  }
  return rows;
}

const otherCores = watchOthers();
const rows = await measureAll(values.queues.split(','));
agent.destroy();
mkdirSync(RESULTS_FOLDER, { recursive: true });
const results = { machine: thisMachine(), date: new Date().toISOString().slice(0, 10), otherCores: otherCores(), rows };
writeFileSync(join(RESULTS_FOLDER, 'http.json'), `${JSON.stringify(results, null, 2)}\n`);
