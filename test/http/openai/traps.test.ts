/** What clients of OpenAI's API do differently from its documentation, and what the server does then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogFields, Logger } from '../../../src/observability/logger.ts';
import { UrlSigner } from '../../../src/http/images/sign-url.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { type Served, type ServeOptions, serve } from '../served.ts';
import { eventsIn } from './event-stream.ts';

type Body = NonNullable<RequestInit['body']>;
type Json = Readonly<Record<string, unknown>>;

const ROUTE = '/v1/images/generations';
const FOX = JSON.stringify({ prompt: 'a fox' });

function post({ url }: Served, body: Body, init: RequestInit & { readonly path?: string } = {}): Promise<Response> {
  const { path = ROUTE, ...others } = init;
  return fetch(`${url}${path}`, { method: 'POST', body, redirect: 'error', ...others });
}

async function jobCount({ queue }: Served): Promise<number> {
  return (await queue.list({ limit: 100 })).length;
}

async function errorIn(response: Response): Promise<Json> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  const { error } = (await response.json()) as { readonly error: Json };
  assert.deepEqual(Object.keys(error).toSorted(), ['code', 'message', 'param', 'type']);
  return error;
}

test('a body is read as JSON, whatever its content-type says', async (t) => {
  const served = await serve(t);
  const types = [
    'application/x-www-form-urlencoded',
    'text/plain',
    'application/octet-stream',
    'nonsense',
    'text/plain;charset=UTF-8',
  ];
  for (const type of types) {
    const response = await post(served, FOX, { headers: { 'content-type': type } });
    assert.equal(response.status, 200, type);
    await response.arrayBuffer();
  }
  // Bytes have no type of their own, so that `fetch` sends none.
  const response = await post(served, new TextEncoder().encode(FOX));
  assert.equal(response.status, 200);
  assert.equal(await jobCount(served), types.length + 1);
});

test('a multipart body is refused, and nothing is enqueued', async (t) => {
  const served = await serve(t);
  const form = new FormData();
  form.append('prompt', 'a fox');
  const response = await post(served, form);
  assert.equal((await errorIn(response))['code'], 'unsupported_media_type');
  assert.deepEqual([response.status, await jobCount(served)], [415, 0]);
});

test('base URLs are joined in many ways, and all of them work without a redirect', async (t) => {
  const served = await serve(t);
  const paths = [
    '/images/generations',
    '//images/generations',
    '/v1//images/generations',
    '/v1/v1/images/generations',
    '/v1/images/generations/',
    '/v1/images/generations?api-version=2024-02-01',
  ];
  for (const path of paths) {
    const response = await post(served, FOX, { path });
    assert.equal(response.status, 200, path);
    await response.arrayBuffer();
  }
  for (const path of [
    '/models',
    '//models',
    '/v1/models',
    '/v1/models/',
    '/v1/v1/models',
    '/v1/models?limit=5',
    '/models/instant',
  ]) {
    const response = await fetch(`${served.url}${path}`, { redirect: 'error' });
    assert.equal(response.status, 200, path);
    await response.json();
  }
});

test('OPTIONS is answered on every route, without a key', async (t) => {
  const served = await serve(t, { keys: ['alice'], worker: false });
  for (const [path, method] of [
    [ROUTE, 'POST'],
    ['/images/generations', 'POST'],
    ['/v1/models', 'GET'],
    ['/v1/images/edits', 'POST'],
    ['/api/generate', 'POST'],
  ] as const) {
    const response = await fetch(`${served.url}${path}`, { method: 'OPTIONS' });
    assert.equal(response.status, 204, path);
    assert.ok(response.headers.get('allow')?.includes(method), path);
  }
});

test('HEAD shows models without a body, and never enqueues', async (t) => {
  const served = await serve(t, { worker: false });
  const models = await fetch(`${served.url}/v1/models`, { method: 'HEAD' });
  assert.deepEqual([models.status, await models.text()], [200, '']);
  const images = await fetch(`${served.url}${ROUTE}`, { method: 'HEAD' });
  assert.equal(images.status, 405);
  assert.equal(await jobCount(served), 0);
});

test('GET of a route for POST is refused in OpenAI’s shape, with the methods that are allowed', async (t) => {
  const served = await serve(t, { worker: false });
  const response = await fetch(`${served.url}${ROUTE}`);
  assert.equal(response.status, 405);
  assert.ok(response.headers.get('allow')?.includes('POST'));
  assert.equal((await errorIn(response))['code'], 'method_not_allowed');
});

test('an empty or meaningless authorization is none; api-key and x-api-key count', async (t) => {
  const served = await serve(t, { keys: ['alice'] });
  const secret = served.secretOf('alice');
  for (const authorization of ['', 'Basic', 'Bearer', 'Bearer wrong', undefined]) {
    const headers = authorization === undefined ? {} : { authorization };
    const response = await post(served, FOX, { headers });
    assert.equal(response.status, 401, authorization);
    assert.doesNotMatch(response.headers.get('www-authenticate') ?? '', /basic/i);
    assert.equal((await errorIn(response))['code'], 'unauthorized');
  }
  assert.equal(await jobCount(served), 0);
  const basic = `Basic ${Buffer.from(`any:${secret}`).toString('base64')}`;
  for (const headers of [{ 'api-key': secret }, { 'x-api-key': secret }, { authorization: basic }]) {
    const response = await post(served, FOX, { headers: new Headers(Object.entries(headers)) });
    assert.equal(response.status, 200, Object.keys(headers)[0]);
    await response.arrayBuffer();
  }
  const open = await serve(t);
  const response = await post(open, FOX, { headers: { authorization: 'Bearer' } });
  assert.equal(response.status, 200);
});

test('absent and OpenAI’s own model names are the default model; the answer says which one was used', async (t) => {
  const served = await serve(t, {
    models: [
      { id: 'sd15', aliases: [] },
      { id: 'other', aliases: [] },
    ],
  });
  for (const model of [
    undefined,
    null,
    '',
    'dall-e-2',
    'dall-e-3',
    'gpt-image-1',
    'gpt-image-2.5-mini',
    'chatgpt-image-latest',
  ]) {
    const response = await post(served, JSON.stringify({ prompt: 'a fox', model }));
    const { model: used } = (await response.json()) as Json;
    assert.deepEqual(
      [response.status, response.headers.get('text2img-model'), used],
      [200, 'sd15', 'sd15'],
      String(model),
    );
  }
  const response = await post(served, JSON.stringify({ prompt: 'a fox', model: 'none' }));
  const { code, param } = await errorIn(response);
  assert.deepEqual([response.status, code, param], [404, 'model_not_found', 'model']);
});

const signing: ServeOptions = { server: { signer: new UrlSigner({ secrets: ['a secret of the test'] }) } };

async function itemOf(served: Served, body: object): Promise<Json> {
  const response = await post(served, JSON.stringify({ prompt: 'a fox', ...body }));
  const { data } = (await response.json()) as { readonly data: readonly Json[] };
  return data[0] ?? {};
}

test('URLs are answered where they are asked for, and by default under names whose clients read nothing else', async (t) => {
  const served = await serve(t, signing);
  for (const body of [
    { response_format: 'url' },
    { model: 'gpt-image-1', response_format: 'url' },
    { model: 'dall-e-3' },
    { model: 'dall-e-2' },
  ]) {
    const { url, b64_json } = await itemOf(served, body);
    assert.equal(b64_json, undefined, 'never both');
    const { origin, pathname } = new URL(String(url));
    assert.deepEqual([origin, pathname.endsWith('/0.png')], [served.url, true]);
  }
  for (const body of [{}, { model: 'gpt-image-1' }, { model: 'dall-e-3', response_format: 'b64_json' }])
    assert.equal((await itemOf(served, body))['url'], undefined);
});

test('where no URL can be signed, a request for one is refused by name, and the default is the image itself', async (t) => {
  const served = await serve(t, { server: { signer: undefined } });
  const response = await post(served, JSON.stringify({ prompt: 'a fox', response_format: 'url' }));
  const { code, param } = await errorIn(response);
  assert.deepEqual([response.status, code, param], [400, 'invalid_parameter', 'response_format']);
  assert.equal(await jobCount(served), 0);
  const item = await itemOf(served, { model: 'dall-e-3' });
  assert.deepEqual([item['url'], typeof item['b64_json']], [undefined, 'string']);
});

test('a request that waits too long is a 504 that SDKs repeat, and its job goes on', async (t) => {
  const served = await serve(t, { front: { waitTimeoutMs: 50 } });
  const response = await post(served, JSON.stringify({ prompt: 'a fox [slow 100]' }));
  assert.equal(response.status, 504);
  assert.equal(response.headers.get('x-should-retry'), 'true');
  const seconds = Number(response.headers.get('retry-after'));
  assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60);
  assert.equal((await errorIn(response))['code'], 'wait_timeout');
  const id = response.headers.get('text2img-id') ?? '';
  while ((await served.queue.show(id))?.status !== 'completed') await new Promise((resolve) => setTimeout(resolve, 20));
});

test('a stream waits longer than a request without one', async (t) => {
  const served = await serve(t, { front: { waitTimeoutMs: 50 } });
  const response = await post(served, JSON.stringify({ prompt: 'a fox [slow 100]', stream: true }));
  assert.equal(eventsIn(await response.text()).at(-1)?.event, 'image_generation.completed');
});

test('what a repeat cannot help says so', async (t) => {
  const served = await serve(t, { worker: false });
  for (const [body, status] of [
    ['{"prompt": "a fox", "n": 0}', 400],
    ['{"prompt": "a fox", "model": "none"}', 404],
    ['{', 400],
  ] as const) {
    const response = await post(served, body);
    assert.deepEqual([response.status, response.headers.get('x-should-retry')], [status, 'false'], body);
    await response.arrayBuffer();
  }
});

test('broken, deep, empty and foreign bodies are refused with a code, and nothing is enqueued', async (t) => {
  const served = await serve(t, { worker: false });
  const bodies: readonly Body[] = [
    '',
    '{',
    'null',
    '[]',
    '"text"',
    'prompt=a+fox',
    '{"prompt": "a fox"',
    '['.repeat(100_000),
    `{"prompt": ${'['.repeat(100)}${']'.repeat(100)}}`,
    new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    '{"prompt": {"$ne": 1}}',
    '{"prompt": "a fox", "width": {"$gt": 0}}',
  ];
  for (const body of bodies) {
    const response = await post(served, body);
    const { code } = await errorIn(response);
    assert.deepEqual([response.status, typeof code], [400, 'string']);
  }
  assert.equal(await jobCount(served), 0);
});

test('a prompt with control characters and half surrogate pairs is generated, or refused with a code', async (t) => {
  const served = await serve(t);
  for (const prompt of ['\0\u001b[2J', '\u202e', '\ud800', '😀'.repeat(100), '<|endoftext|>']) {
    const response = await post(served, JSON.stringify({ prompt }));
    if (response.status !== 200) assert.equal(typeof (await errorIn(response))['code'], 'string');
    else await response.arrayBuffer();
    assert.ok(response.status === 200 || response.status === 400, `${response.status}`);
  }
});

test('secrets in a body reach neither document, nor answer, nor log', async (t) => {
  const lines: string[] = [];
  const note = (message: string, fields?: LogFields): void =>
    void lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const logger: Logger = {
    ...silentLogger,
    debug: note,
    info: note,
    warning: note,
    error: note,
    critical: note,
    repeated: note,
  };
  const served = await serve(t, { logger });
  const secrets = { url: 'http://127.0.0.1:7860/S3CRET', auth: 'u:S3CRET', key: 'S3CRET' };
  const response = await post(served, JSON.stringify({ prompt: 'a fox', ...secrets }));
  const answer = await response.text();
  const refused = await post(served, JSON.stringify({ prompt: 'a fox', size: 'none', ...secrets }));
  const [job] = await served.queue.list({ limit: 1 });
  const all = [answer, await refused.text(), JSON.stringify([...response.headers]), JSON.stringify(job), ...lines];
  assert.equal(response.status, 200);
  for (const text of all) assert.ok(!text.includes('S3CRET'), text);
});

test('nothing in the log holds the prompt', async (t) => {
  const lines: string[] = [];
  const note = (message: string, fields?: LogFields): void =>
    void lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const logger: Logger = {
    ...silentLogger,
    debug: note,
    info: note,
    warning: note,
    error: note,
    critical: note,
    repeated: note,
  };
  const served = await serve(t, { logger });
  for (const body of [
    {},
    { stream: true },
    { n: 0 },
    { stream: true, prompt: `[once invalid_image ${served.folder}/once] PR0MPT` },
  ]) {
    const response = await post(served, JSON.stringify({ prompt: 'PR0MPT', ...body }));
    await response.text();
  }
  assert.ok(lines.length > 0, 'requests are logged');
  assert.deepEqual(
    lines.filter((line) => line.includes('PR0MPT')),
    [],
  );
});

test('usage is in every answer and in every event that ends a stream', async (t) => {
  const served = await serve(t);
  const answer = (await (await post(served, FOX)).json()) as Json;
  const stream = await (await post(served, JSON.stringify({ prompt: 'a fox', stream: true }))).text();
  for (const usage of [answer['usage'], eventsIn(stream).at(-1)?.data['usage']])
    assert.deepEqual(usage, {
      input_tokens: 2,
      output_tokens: 0,
      total_tokens: 2,
      input_tokens_details: { text_tokens: 2, image_tokens: 0 },
    });
});

test('sixteen images are one answer, in their order', async (t) => {
  const served = await serve(t);
  const response = await post(served, JSON.stringify({ prompt: 'a fox', n: 16, seed: 100 }));
  assert.equal(response.headers.get('content-length'), null, 'written while images are read');
  const { data } = (await response.json()) as { readonly data: readonly Json[] };
  assert.deepEqual(
    data.map(({ seed }) => seed),
    Array.from({ length: 16 }, (_, index) => 100 + index),
  );
});

test('edits and variations are refused by name before their body is read', async (t) => {
  const served = await serve(t, { keys: ['alice'], worker: false });
  const headers = { authorization: `Bearer ${served.secretOf('alice')}` };
  for (const path of ['/v1/images/edits', '/images/edits', '/v1/images/variations', '/images/variations']) {
    const form = new FormData();
    form.append('image[]', new File([new Uint8Array(1_000_000)], 'a.png'));
    const response = await post(served, form, { path, headers });
    assert.deepEqual([response.status, response.headers.get('x-should-retry')], [501, 'false'], path);
    assert.equal((await errorIn(response))['code'], 'not_implemented');
    assert.equal((await post(served, '{}', { path })).status, 401, 'a key comes first');
  }
});

test('a stream of a server that shuts down ends with an error that says so', async (t) => {
  const served = await serve(t, { worker: false });
  const response = await post(served, JSON.stringify({ prompt: 'a fox', stream: true }));
  served.lifecycle.end();
  const ends = eventsIn(await response.text()).map(({ event, data }) => [event, (data['error'] as Json)['code']]);
  assert.deepEqual(ends, [['error', 'shutting_down']]);
});
