/** `Cancel-After` outlives the server that took the request: whoever is alive ends the job. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, suite, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../src/observability/logger.ts';
import { MongoPromptQueue } from '../../src/queue/mongo/mongo-prompt-queue.ts';
import type { PromptQueue } from '../../src/queue/prompt-queue.ts';
import { findMongod, NO_MONGOD } from '../servers/find-mongod.ts';
import { GcsServer } from '../servers/gcs-server.ts';
import { MongoServers } from '../servers/mongod.ts';
import { makePlace, until, watch } from '../worker/place.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const ENDS = { timeout: 110_000 };
const MODELS = ['--models', 'instant=owner/instant'];

async function add({ url }: ServerProcess, text: string, cancelAfter?: string): Promise<string> {
  const answer = await fetch(`${url}/api/v1/prompts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(cancelAfter && { 'cancel-after': cancelAfter }) },
    body: JSON.stringify({ text, width: 64, height: 64, num_inference_steps: 1000 }),
  });
  assert.equal(answer.status, 202);
  return ((await answer.json()) as { readonly id: string }).id;
}

async function killed({ child }: ServerProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function stateOf(queue: PromptQueue, id: string): Promise<string> {
  const { status, error = '' } = (await queue.show(id)) ?? {};
  return `${status} ${error.split(':')[0]}`.trim();
}

test('a worker ends the job of a server that was killed, while it generates it and while it waits', ENDS, async (t) => {
  const place = await makePlace(t);
  const server = await startServer(t, ['--no-worker', '--data-dir', place.folder, ...MODELS]);
  const [first, second] = [await add(server, '[slow 100]', '5s'), await add(server, '[slow 100]', '6s')];
  const patient = await add(server, 'patient', '1h');
  await killed(server);
  // Its lease would be renewed, and the end noticed, only after minutes.
  const worker = watch(place, { leaseMs: 600_000 });
  await until(() => worker.drawings(first) > 0);
  await until(async () => (await stateOf(place.queue, first)) === 'error cancelled');
  await until(async () => (await stateOf(place.queue, second)) === 'error cancelled');
  await until(async () => (await stateOf(place.queue, patient)) === 'completed');
  assert.ok(worker.events.some(({ type, id }) => type === 'lost' && id === first));
});

test(
  'the next server with the embedded queue ends the job of one that was killed, before its own worker has a model',
  ENDS,
  async (t) => {
    const place = await makePlace(t);
    const args = ['--data-dir', place.folder];
    const one = await startServer(t, ['--no-worker', ...args, ...MODELS]);
    const id = await add(one, 'x', '5s');
    await killed(one);
    await sleep(5200);
    assert.equal(await stateOf(place.queue, id), 'pending', 'nobody is alive');
    const two = await startServer(t, args);
    await until(async () => (await stateOf(place.queue, id)) === 'error cancelled');
    await killed(two);
  },
);

const binary = await findMongod();
const servers = binary === undefined ? undefined : await MongoServers.standalone(binary);
after(() => servers?.[Symbol.asyncDispose]());

suite('Cancel-After through MongoDB', servers === undefined ? { skip: NO_MONGOD } : ENDS, () => {
  const open = (t: TestContext, uri: string): MongoPromptQueue => {
    const options = { uriName: 'MONGO_URI', collection: 'prompts', leaseMs: 60_000, maxAttempts: 5, owner: 'w' };
    const queue = new MongoPromptQueue({ uri, logger: silentLogger, ...options });
    t.after(() => queue[Symbol.asyncDispose]());
    return queue;
  };
  const environmentOf = (uri: string, gcs: GcsServer) => ({
    MONGO_URI: uri,
    GCS_BUCKET: gcs.bucket,
    STORAGE_EMULATOR_HOST: gcs.url,
  });

  test('another server ends the job of one that was killed, with no worker at all', async (t) => {
    await using gcs = await GcsServer.start();
    const uri = servers?.uri(`t${randomBytes(6).toString('hex')}`) ?? '';
    const [one, two] = await Promise.all([0, 1].map(() => startServer(t, MODELS, environmentOf(uri, gcs))));
    assert.ok(one !== undefined && two !== undefined);
    const id = await add(one, 'x', '5s');
    const patient = await add(one, 'x', '1h');
    await killed(one);
    const queue = open(t, uri);
    await until(async () => (await stateOf(queue, id)) === 'error cancelled');
    assert.equal(await stateOf(queue, patient), 'pending');
    const shown = (await (await fetch(`${two.url}/api/v1/prompts/${id}`)).json()) as { readonly status: string };
    assert.equal(shown.status, 'error');
  });

  test('a worker that generates nothing but other jobs ends the job of a server that was killed', async (t) => {
    await using gcs = await GcsServer.start();
    const uri = servers?.uri(`t${randomBytes(6).toString('hex')}`) ?? '';
    const server = await startServer(t, MODELS, environmentOf(uri, gcs));
    const busy = await add(server, '[slow 100]');
    // Ids of one second are in no order.
    await sleep(1100);
    const id = await add(server, '[slow 100]', '5s');
    await killed(server);
    const place = await makePlace(t);
    const queue = open(t, uri);
    const worker = watch({ ...place, queue: queue as never }, { graceMs: 0 });
    await until(() => worker.drawings(busy) > 0);
    await until(async () => (await stateOf(queue, id)) === 'error cancelled');
    assert.equal(await stateOf(queue, busy), 'processing');
  });
});
