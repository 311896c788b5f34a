/** Many clients at once, over each queue: every request ends with its own image, however the queue reports changes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, suite, test, type TestContext } from 'node:test';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { MongoServers } from '../servers/mongod.ts';
import { serve, type Served, type ServeOptions } from './served.ts';
import { WAITING_DOOR } from './waiting-door.ts';

const CLIENTS = 500;
const doors = [WAITING_DOOR];
const BODY = { width: 8, height: 8, num_inference_steps: 1 };

interface Answer {
  readonly status: number;
  readonly id: string;
  readonly isRepeat: boolean;
}

async function ask({ url }: Served, text: string, headers: Record<string, string> = {}): Promise<Answer> {
  const body = JSON.stringify({ ...BODY, text });
  const answer = await fetch(`${url}/test/generate`, { method: 'POST', headers, body });
  return { status: answer.status, ...((await answer.json()) as Omit<Answer, 'status'>) };
}

/** Two servers on one queue and one store; the first one's process has the worker. */
async function two(t: TestContext, options: ServeOptions): Promise<readonly [Served, Served]> {
  const worker = { batchSize: 16 };
  const one = await serve(t, { doors, worker, ...options });
  return [one, await serve(t, { doors, ...options, worker: false, folder: one.folder })];
}

async function jobsOf({ queue }: Served): Promise<number> {
  const { pending, processing, completed, error } = await queue.counts();
  return pending + processing + completed + error;
}

function manyClients(name: string, optionsOf: (t: TestContext) => ServeOptions): void {
  suite(name, () => {
    test(`${CLIENTS} clients of two servers get an image each`, async (t) => {
      const servers = await two(t, optionsOf(t));
      const answers = await Promise.all(
        Array.from({ length: CLIENTS }, (_, index) => ask(servers[index % 2 === 0 ? 0 : 1], `fox ${index}`)),
      );
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
      assert.equal(new Set(answers.map(({ id }) => id)).size, CLIENTS);
      assert.equal(await jobsOf(servers[0]), CLIENTS);
    });

    test('one Idempotency-Key at two servers at once is one job', async (t) => {
      const servers = await two(t, optionsOf(t));
      const headers = { 'idempotency-key': 'k' };
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, index) => ask(servers[index % 2 === 0 ? 0 : 1], 'a fox', headers)),
      );
      assert.deepEqual([...new Set(answers.map(({ status, id }) => `${status} ${id}`))], [`200 ${answers[0]?.id}`]);
      assert.equal(answers.filter(({ isRepeat }) => !isRepeat).length, 1);
      assert.equal(await jobsOf(servers[0]), 1);
    });

    test('a request that a client broke off at one server is taken over by its retry at the other', async (t) => {
      const servers = await two(t, optionsOf(t));
      const leaving = new AbortController();
      const body = JSON.stringify({ ...BODY, text: 'a [slow 2000]' });
      const lost = fetch(`${servers[0].url}/test/generate`, { method: 'POST', body, signal: leaving.signal });
      const gone = assert.rejects(lost);
      while ((await jobsOf(servers[0])) === 0) await sleep(10);
      leaving.abort();
      await gone;
      const again = await ask(servers[1], 'a [slow 2000]', { 'x-stainless-retry-count': '1' });
      assert.deepEqual([again.status, again.isRepeat], [200, true]);
      assert.equal(await jobsOf(servers[0]), 1);
    });
  });
}

manyClients('the embedded queue', () => ({}));

const binary = await findMongod();
if (binary === undefined) test('servers over MongoDB', { skip: NO_MONGOD });
else {
  for (const [name, servers] of [
    ['MongoDB, a standalone', await MongoServers.standalone(binary)],
    ['MongoDB, a replica set', await MongoServers.replicaSet(binary)],
  ] as const) {
    after(() => servers[Symbol.asyncDispose]());
    const uris = new WeakMap<TestContext, string>();
    manyClients(name, (t) => {
      const mongoUri = uris.get(t) ?? servers.uri(`t${randomBytes(6).toString('hex')}`);
      uris.set(t, mongoUri);
      return { mongoUri };
    });
  }
}

test('clients that break off their upload, or never read their answer, keep nobody waiting and add nothing', async (t) => {
  const served = await serve(t, { doors });
  const port = Number(new URL(served.url).port);
  const head = 'POST /test/generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n';
  const sockets = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.pause();
      if (index % 3 === 0) socket.write(`${head}{"text": "half`);
      // Answers that pile up unread.
      else if (index % 3 === 1)
        for (let n = 0; n < 50; n++) socket.write('GET /test/jobs/x HTTP/1.1\r\nhost: localhost\r\n\r\n');
      else socket.write(head);
      return socket;
    }),
  );
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  sockets.forEach((socket, index) => index % 2 === 0 && socket.destroy());
  assert.equal((await ask(served, 'a fox')).status, 200);
  assert.equal(await jobsOf(served), 1);
});
