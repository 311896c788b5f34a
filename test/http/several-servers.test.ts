/** Servers in processes of their own on one queue, that are stopped and killed in the middle: every request ends with an image or a code. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { makePlace, until, watch, type Place } from '../worker/place.ts';
import { type ServerProcess, startServer } from './server-process.ts';

interface Answer {
  readonly status: number;
  readonly id: string | null;
  readonly shouldRetry: string | null;
  readonly body: {
    readonly data?: readonly { readonly b64_json?: string }[];
    readonly error?: { readonly code?: string };
  };
}

function serverOn(t: TestContext, { folder }: Place, ...args: string[]): Promise<ServerProcess> {
  const models = ['--models', 'instant=owner/instant'];
  return startServer(t, ['--no-worker', '--data-dir', folder, ...models, ...args]);
}

async function generate({ url }: ServerProcess, prompt: string, headers: Record<string, string> = {}): Promise<Answer> {
  const answer = await fetch(`${url}/v1/images/generations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ prompt, size: '64x64', steps: 4 }),
  });
  const body = (await answer.json()) as Answer['body'];
  const { headers: got, status } = answer;
  return { status, id: got.get('text2img-id'), shouldRetry: got.get('x-should-retry'), body };
}

async function untilProcessing({ queue }: Place): Promise<string> {
  let found: string | undefined;
  await until(async () => {
    found = (await queue.list({ limit: 1, status: 'processing' }))[0]?.id;
    return found !== undefined;
  });
  return found ?? '';
}

async function jobsOf({ queue }: Place): Promise<number> {
  const { pending, processing, completed, error } = await queue.counts();
  return pending + processing + completed + error;
}

test('a client whose server is killed sends its request again to another one and gets the same job', async (t) => {
  const place = await makePlace(t);
  const [one, two] = await Promise.all([serverOn(t, place), serverOn(t, place)]);
  const working = watch(place);
  const prompt = 'a [slow 1500]';
  const lost = generate(one, prompt).catch((error: unknown) => error);
  const id = await untilProcessing(place);
  one.child.kill('SIGKILL');
  assert.ok((await lost) instanceof Error, 'the connection broke');
  const again = await generate(two, prompt, { 'x-stainless-retry-count': '1' });
  assert.deepEqual([again.status, again.id], [200, id]);
  assert.ok((again.body.data?.[0]?.b64_json ?? '').length > 0);
  assert.deepEqual([await jobsOf(place), working.drawings(id)], [1, 1]);
});

test('under one Idempotency-Key one image is generated, whichever server is asked and whichever is killed', async (t) => {
  const place = await makePlace(t);
  const [one, two] = await Promise.all([serverOn(t, place), serverOn(t, place)]);
  const working = watch(place);
  const headers = { 'idempotency-key': 'one of a kind' };
  const ask = async (index: number): Promise<Answer> => {
    for (let server = index % 2 === 0 ? one : two; ; server = two) {
      const answer = await generate(server, 'a [slow 400]', headers).catch(() => undefined);
      if (answer !== undefined) return answer;
    }
  };
  const asking = Array.from({ length: 20 }, (_, index) => ask(index));
  const id = await untilProcessing(place);
  one.child.kill('SIGKILL');
  const answers = await Promise.all(asking);
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.deepEqual([...new Set(answers.map((answer) => answer.id))], [id]);
  assert.equal(new Set(answers.map(({ body }) => body.data?.[0]?.b64_json)).size, 1);
  assert.deepEqual([await jobsOf(place), working.drawings(id)], [1, 1]);
});

test('a server that is stopped answers what is done in time, sends the rest to be repeated, and another one takes it over', async (t) => {
  const place = await makePlace(t);
  const [one, two] = await Promise.all([serverOn(t, place, '--grace-period', '1'), serverOn(t, place)]);
  const working = watch(place);
  const prompt = 'a [slow 3000]';
  const asking = generate(one, prompt);
  const id = await untilProcessing(place);
  one.child.kill('SIGTERM');
  await until(async () => (await fetch(`${one.url}/readyz`)).status === 503);
  assert.equal((await fetch(`${one.url}/v1/models`)).status, 200, 'requests are still taken');
  const told = await asking;
  assert.deepEqual([told.status, told.body.error?.code, told.shouldRetry], [503, 'shutting_down', 'true']);
  assert.equal(await one.ended, 0);
  const again = await generate(two, prompt, { 'x-stainless-retry-count': '1' });
  assert.deepEqual([again.status, again.id], [200, id]);
  assert.deepEqual([await jobsOf(place), working.drawings(id)], [1, 1]);
});

test('a client that goes away for good has its job cancelled', async (t) => {
  const place = await makePlace(t);
  const server = await serverOn(t, place);
  watch(place);
  const leaving = new AbortController();
  const asking = fetch(`${server.url}/v1/images/generations`, {
    method: 'POST',
    body: JSON.stringify({ prompt: 'a [slow 30000]', size: '64x64', steps: 4 }),
    signal: leaving.signal,
  }).catch((error: unknown) => error);
  const id = await untilProcessing(place);
  leaving.abort();
  await asking;
  await until(async () => (await place.queue.show(id))?.status === 'error');
  assert.match((await place.queue.show(id))?.error ?? '', /^cancelled: the client closed the connection/);
});
