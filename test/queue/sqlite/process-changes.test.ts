/** Queues of one process on one file tell one another what they did, and nobody else. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SqlitePromptQueue } from '../../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { serve } from '../../http/served.ts';

const LONG_MS = 60_000;
const ENDS = { timeout: 40_000 };

async function openThree(t: TestContext): Promise<readonly [SqlitePromptQueue, SqlitePromptQueue, SqlitePromptQueue]> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-queue-'));
  const open = (name: string): SqlitePromptQueue => {
    const queue = new SqlitePromptQueue({ path: join(folder, name), leaseMs: LONG_MS, maxAttempts: 5, owner: 'w' });
    t.after(() => queue[Symbol.asyncDispose]());
    return queue;
  };
  t.after(() => rm(folder, { recursive: true, force: true }));
  return [open('queue.sqlite'), open('queue.sqlite'), open('other.sqlite')];
}

test(
  'a worker that waits is woken by what another queue of this process adds to the same file, or makes pending again',
  ENDS,
  async (t) => {
    const [server, worker, other] = await openThree(t);
    const stop = new AbortController();
    t.after(() => stop.abort());
    const wait = (queue: SqlitePromptQueue) => queue.untilChanged({ timeoutMs: LONG_MS, signal: stop.signal });
    let isOtherWoken = false;
    void wait(other).then(() => (isOtherWoken = true));
    const waiting = wait(worker);
    await sleep(50);
    await server.enqueue([{ _id: 'a', text: 'x' }]);
    await waiting;
    await server.enqueue([{ _id: 'b', text: 'x' }]);
    await sleep(50);
    await wait(worker);
    await server.cancel('a');
    const again = wait(worker);
    await server.retry('a');
    await again;
    await server.cancel('b');
    const all = wait(worker);
    await server.retryAll({ status: 'error' });
    await all;
    assert.equal(isOtherWoken, false);
  },
);

test('a queue that was closed is told nothing any more', ENDS, async (t) => {
  const [server, worker] = await openThree(t);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const told: string[] = [];
  void worker.watchChanges({ signal: stop.signal, onChange: (id) => told.push(id) });
  await server.enqueue([{ _id: 'a', text: 'x' }]);
  await server.cancel('a');
  await worker[Symbol.asyncDispose]();
  await server.remove('a');
  assert.deepEqual(told, ['a']);
});

test('a server’s own worker begins a job when it is added, however seldom it looks by itself', ENDS, async (t) => {
  const served = await serve(t, { worker: { pollMs: 30 * LONG_MS } });
  const ask = async (prompt: string): Promise<number> => {
    const body = JSON.stringify({ prompt, size: '64x64', steps: 2 });
    return (await fetch(`${served.url}/v1/images/generations`, { method: 'POST', body })).status;
  };
  for (const prompt of ['a', 'b', 'c']) assert.equal(await ask(prompt), 200);
});
