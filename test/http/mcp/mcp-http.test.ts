/** Agents over HTTP: the official client, in the present revision of the protocol and in one of 2025, against a real server with a worker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode } from 'fast-png';
import { UrlSigner } from '../../../src/http/images/sign-url.ts';
import { serve } from '../served.ts';
import { connect, factsOf, imagesOf, REVISIONS, textOf } from './connect.ts';

const SMALL = { num_inference_steps: 2, width: 16, height: 8 };

/** Waits for something that comes soon. */
async function until(isThere: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await isThere()) return;
    await sleep(25);
  }
  assert.fail('it did not come within 10 s');
}

for (const revision of REVISIONS) {
  test(`${revision}: the tools are listed, with the fields of requests`, async (t) => {
    const served = await serve(t, { worker: false });
    const client = await connect(t, served.url, { revision });
    assert.equal(client.getServerVersion()?.name, 'text2img');
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ['generate_image', 'get_prompt', 'cancel_prompt', 'list_models'],
    );
    const properties = tools[0]?.inputSchema.properties ?? {};
    assert.ok('negative_prompt' in properties && 'guidance_scale' in properties);
    const models = await client.callTool({ name: 'list_models' });
    assert.match(textOf(models), /, the default$/m);
  });

  test(`${revision}: generate_image returns the images, their seeds and URLs, and the id`, async (t) => {
    const signer = new UrlSigner({ secrets: ['a secret of the test'] });
    const served = await serve(t, { server: { signer } });
    const client = await connect(t, served.url, { revision });
    const answer = await client.callTool({
      name: 'generate_image',
      arguments: { prompt: 'a fox', seed: 7, num_images: 2, ...SMALL },
    });
    assert.ok(answer.isError !== true, textOf(answer));
    const images = imagesOf(answer);
    assert.equal(images.length, 2);
    for (const png of images) assert.deepEqual([decode(png).width, decode(png).height], [16, 8]);
    const { id, status, images: facts } = factsOf(answer);
    assert.equal(status, 'completed');
    const [first, second] = facts as { seed: number; url: string }[];
    assert.deepEqual([first?.seed, second?.seed], [7, 8]);
    assert.match(textOf(answer), new RegExp(`Prompt ${String(id)} is completed`));
    assert.equal((await served.queue.show(String(id)))?.text, 'a fox');
    assert.ok(first !== undefined);
    assert.ok(first.url.startsWith(`${served.url}/images/${String(id)}/0.png?exp=`), first.url);
    assert.equal((await fetch(first.url)).headers.get('content-type'), 'image/png');

    const again = await client.callTool({ name: 'get_prompt', arguments: { id, include_images: false } });
    assert.equal(imagesOf(again).length, 0);
    assert.match(textOf(again), /Image 0: seed 7, http/);
  });

  test(`${revision}: progress is told step by step, and only rises`, async (t) => {
    const served = await serve(t);
    const client = await connect(t, served.url, { revision });
    const told: { progress: number; total?: number | undefined; message?: string | undefined }[] = [];
    await client.callTool(
      { name: 'generate_image', arguments: { prompt: '[slow 100] a fox', ...SMALL, num_inference_steps: 30 } },
      { onprogress: (progress) => told.push(progress) },
    );
    const steps = told.map(({ progress }) => progress);
    assert.ok(steps.length >= 2, JSON.stringify(told));
    assert.deepEqual(
      steps,
      [...new Set(steps)].toSorted((a, b) => a - b),
    );
    assert.match(told[0]?.message ?? '', /^prompt \w+ is /);
    assert.ok(told.some(({ total }) => total === 30));
  });

  test(`${revision}: an image that takes longer than the wait is asked for again by its id`, async (t) => {
    const served = await serve(t);
    const client = await connect(t, served.url, { revision });
    const begun = await client.callTool({
      name: 'generate_image',
      arguments: { prompt: '[slow 300] a fox', ...SMALL, wait_seconds: 0 },
    });
    assert.ok(begun.isError !== true, textOf(begun));
    const { id, status } = factsOf(begun);
    assert.ok(status === 'pending' || status === 'processing');
    assert.match(textOf(begun), /Call get_prompt with this id/);
    const done = await client.callTool({ name: 'get_prompt', arguments: { id, wait_seconds: 30 } });
    assert.equal(imagesOf(done).length, 1);
  });

  test(`${revision}: bad arguments and failures are tool errors with our codes`, async (t) => {
    const served = await serve(t, { worker: { maxAttempts: 1 } });
    const client = await connect(t, served.url, { revision });
    const refused = async (name: string, args: Record<string, unknown>): Promise<string> => {
      const answer = await client.callTool({ name, arguments: args });
      assert.equal(answer.isError, true, textOf(answer));
      assert.equal(factsOf(answer)['code'], textOf(answer).split(':')[0]);
      return textOf(answer);
    };
    assert.match(await refused('generate_image', {}), /^invalid_prompt: /);
    assert.match(await refused('generate_image', { prompt: 'a', width: 7 }), /^invalid_parameter: "width" is 7/);
    assert.match(await refused('generate_image', { prompt: 'a', steps: 7 }), /^invalid_parameter: "steps"/);
    assert.match(await refused('generate_image', { prompt: 'a', model: 'none' }), /^model_not_found: /);
    assert.match(await refused('generate_image', { prompt: 'a', scheduler: 'x' }), /^unknown_scheduler: /);
    assert.match(await refused('get_prompt', { id: 'nothing' }), /^not_found: /);
    assert.match(await refused('cancel_prompt', { id: 'nothing' }), /^not_found: /);
    const { length: before } = await served.queue.list({ limit: 10 });
    assert.equal(before, 0, 'nothing was enqueued');
    assert.match(
      await refused('generate_image', { prompt: '[fail] a', ...SMALL }),
      /^attempts_exhausted: .*inference_failed: the prompt asked for a failure/,
    );
  });

  test(`${revision}: a call whose model no worker has ends with no_worker, and its job is cancelled`, async (t) => {
    const served = await serve(t, { worker: false, front: { noWorkerTimeoutMs: 0, hasWorker: () => false } });
    const client = await connect(t, served.url, { revision });
    const answer = await client.callTool({ name: 'generate_image', arguments: { prompt: 'a fox', ...SMALL } });
    assert.deepEqual([answer.isError, factsOf(answer)['code']], [true, 'no_worker']);
    const [job] = await served.queue.list({ limit: 2 });
    assert.match(job?.error ?? '', /^cancelled: /);
  });

  test(`${revision}: a call that the client takes back cancels its job`, async (t) => {
    const served = await serve(t);
    const client = await connect(t, served.url, { revision });
    const cancel = new AbortController();
    const call = client.callTool(
      { name: 'generate_image', arguments: { prompt: '[slow 200] a fox', ...SMALL, num_inference_steps: 500 } },
      { signal: cancel.signal },
    );
    call.catch(() => undefined);
    await until(async () => (await served.queue.list({ limit: 1 }))[0]?.status === 'processing');
    cancel.abort();
    await assert.rejects(call);
    await until(async () => (await served.queue.list({ limit: 1 }))[0]?.error?.startsWith('cancelled: ') === true);
  });

  test(`${revision}: cancel_prompt cancels, and says where there was nothing to cancel`, async (t) => {
    const served = await serve(t, { worker: false });
    const client = await connect(t, served.url, { revision });
    const { id } = factsOf(
      await client.callTool({ name: 'generate_image', arguments: { prompt: 'a fox', wait_seconds: 0 } }),
    );
    const first = await client.callTool({ name: 'cancel_prompt', arguments: { id } });
    assert.deepEqual(factsOf(first), { id, status: 'error', cancelled: true });
    const second = await client.callTool({ name: 'cancel_prompt', arguments: { id } });
    assert.deepEqual(factsOf(second), { id, status: 'error', cancelled: false });
    assert.match(textOf(await client.callTool({ name: 'get_prompt', arguments: { id } })), /cancelled: /);
  });

  test(`${revision}: a key is needed where the server has keys, and sees its own jobs only`, async (t) => {
    const served = await serve(t, { worker: false, keys: ['ann', 'bob'] });
    await assert.rejects(connect(t, served.url, { revision }));
    const [ann, bob] = await Promise.all(
      ['ann', 'bob'].map((name) =>
        connect(t, served.url, { revision, headers: { authorization: `Bearer ${served.secretOf(name)}` } }),
      ),
    );
    assert.ok(ann !== undefined && bob !== undefined);
    const { id } = factsOf(
      await ann.callTool({ name: 'generate_image', arguments: { prompt: 'a fox', wait_seconds: 0 } }),
    );
    assert.match(textOf(await bob.callTool({ name: 'get_prompt', arguments: { id } })), /^not_found: /);
    assert.match(textOf(await bob.callTool({ name: 'cancel_prompt', arguments: { id } })), /^not_found: /);
    assert.equal((await ann.callTool({ name: 'get_prompt', arguments: { id } })).isError, undefined);
  });
}

test('the limits of the server hold', async (t) => {
  const served = await serve(t, { worker: false, limits: { maxImages: 2, maxQueueLength: 1 } });
  const client = await connect(t, served.url, { revision: '2026-07-28' });
  const generate = async (args: object): Promise<string> =>
    textOf(await client.callTool({ name: 'generate_image', arguments: { prompt: 'a', wait_seconds: 0, ...args } }));
  assert.match(await generate({ num_images: 3 }), /^invalid_parameter: "num_images" is 3; /);
  assert.match(await generate({}), /^Prompt \w+ is pending/);
  assert.match(await generate({}), /^too_many_pending: /);
});

test('2025: a connection that is lost leaves the job alone', async (t) => {
  const served = await serve(t);
  const gone = new AbortController();
  const call = fetch(new URL('/mcp', served.url), {
    method: 'POST',
    signal: gone.signal,
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'generate_image', arguments: { prompt: '[slow 100] a fox', ...SMALL, num_inference_steps: 5 } },
    }),
  });
  call.catch(() => undefined);
  await until(async () => (await served.queue.list({ limit: 1 }))[0]?.status === 'processing');
  gone.abort();
  await until(async () => (await served.queue.list({ limit: 1 }))[0]?.status === 'completed');
});

test('bodies that are no JSON-RPC are refused in its shape, and nothing is enqueued', async (t) => {
  const served = await serve(t, { worker: false });
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(new URL('/mcp', served.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      body,
    });
    const text = await answer.text();
    return { status: answer.status, error: (JSON.parse(text) as { error: { code: number; message: string } }).error };
  };
  const broken = await post('{"jsonrpc": "2.0", ');
  assert.deepEqual([broken.status, broken.error.code], [400, -32_700]);
  assert.match(broken.error.message, /^invalid_body: /);
  assert.equal((await post('[]')).status, 400);
  assert.equal((await post('{"hello": 1}')).status, 400);
  assert.equal((await post('{}', { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await post(`${'['.repeat(100)}${']'.repeat(100)}`)).error.code, -32_700);
  assert.equal((await fetch(new URL('/mcp', served.url))).status, 405);
  assert.deepEqual(await served.queue.list({ limit: 1 }), []);
});

for (const revision of REVISIONS)
  test(`${revision}: a server that goes down answers the calls that wait, and their jobs stay`, async (t) => {
    const served = await serve(t, { worker: false });
    const client = await connect(t, served.url, { revision });
    const call = client.callTool({ name: 'generate_image', arguments: { prompt: 'a fox' } });
    await until(async () => (await served.queue.list({ limit: 1 })).length === 1);
    const closed = served.app.close();
    // Calls go on for the grace period.
    await sleep(200);
    served.lifecycle.end();
    assert.match(textOf(await call), /^shutting_down: /);
    await closed;
    assert.equal((await served.queue.list({ limit: 1 }))[0]?.status, 'pending');
  });
