/** What clients of any API do differently from its documentation, and what the server does then. `openai/traps.test.ts` has those of OpenAI's alone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { DOORS } from '../../src/http/doors.ts';
import { UrlSigner } from '../../src/http/images/sign-url.ts';
import type { Door } from '../../src/http/server/door.ts';
import { createAndWait, create } from './jobs/client.ts';
import { readUntil, sendRaw } from './raw-request.ts';
import { serve, type Served } from './served.ts';

const SMALL = { width: 8, height: 8, steps: 2 };

type Json = Readonly<Record<string, unknown>>;

function post({ url }: Pick<Served, 'url'>, path: string, body: object, headers = {}): Promise<Response> {
  // Bytes have no type of their own, so that `fetch` sends none.
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return fetch(`${url}${path}`, { method: 'POST', body: bytes, headers });
}

/** The door, and the routes that it registers. */
function recording(door: Door, routes: Map<string, Set<string>>): Door {
  return {
    ...door,
    register(app, front, tools) {
      app.addHook('onRoute', ({ url, method }) => {
        for (const one of [method].flat()) routes.set(url, (routes.get(url) ?? new Set()).add(one));
      });
      door.register(app, front, tools);
    },
  };
}

test('OPTIONS without an Origin is 204 with the methods on every route of every API, before any key', async (t) => {
  const routes = new Map<string, Set<string>>();
  const doors = DOORS.map((door) => recording(door, routes));
  const served = await serve(t, { keys: ['alice'], worker: false, doors });
  assert.ok(routes.size > 30, `${routes.size} routes`);
  for (const [url, methods] of routes) {
    const path = url.replaceAll(/:\w+|\*/g, 'x');
    const answer = await fetch(`${served.url}${path}`, { method: 'OPTIONS' });
    assert.deepEqual([answer.status, await answer.text()], [204, ''], path);
    const allowed = answer.headers.get('allow')?.split(', ') ?? [];
    for (const method of methods) assert.ok(allowed.includes(method), `${method} ${path}: ${allowed.join()}`);
  }
  for (const path of ['/livez', '/readyz', '/openapi.json'])
    assert.equal((await fetch(`${served.url}${path}`, { method: 'OPTIONS' })).status, 204, path);
});

test('JSON with no content-type, or with a form’s or a text’s, is read by every API but the jobs API', async (t) => {
  const served = await serve(t);
  const types = [{}, { 'content-type': 'application/x-www-form-urlencoded' }, { 'content-type': 'text/plain' }];
  for (const headers of types) {
    for (const [path, body] of [
      ['/v1/images/generations', { prompt: 'a', ...SMALL }],
      ['/sdapi/v1/txt2img', { prompt: 'a', ...SMALL }],
      ['/sdapi/v1/options', { sd_model_checkpoint: 'instant' }],
      ['/api/generate', { prompt: 'a', ...SMALL, stream: false }],
    ] as const) {
      const answer = await post(served, path, body, headers);
      assert.equal(answer.status, 200, `${path} ${JSON.stringify(headers)} ${await answer.text()}`);
    }
    const jobs = await post(served, '/api/v1/prompts', { text: 'a' }, headers);
    assert.equal(jobs.status, 415, JSON.stringify(headers));
  }
});

test('−1, null and no seed mean a random one at every API, and the answer says which', async (t) => {
  const served = await serve(t);
  const seeds = new Set<unknown>();
  const note = (seed: unknown): void => {
    assert.ok(Number.isSafeInteger(seed) && Number(seed) >= 0, String(seed));
    seeds.add(seed);
  };
  for (const seed of [{ seed: -1 }, { seed: null }, { seed: '-1' }, { seed: [-1] }, {}]) {
    const answer = await post(served, '/v1/images/generations', { prompt: 'a', ...SMALL, ...seed });
    const json = (await answer.json()) as Json;
    assert.equal(answer.status, 200, JSON.stringify([seed, json]));
    note(json['seed']);
  }
  for (const seed of [{ seed: -1 }, { seed: null }, {}]) {
    const web = (await (await post(served, '/sdapi/v1/txt2img', { prompt: 'a', ...SMALL, ...seed })).json()) as Json;
    note((JSON.parse(String(web['info'])) as Json)['seed']);
    const body = { prompt: 'a', ...SMALL, stream: false, options: seed };
    note(((await (await post(served, '/api/generate', body)).json()) as Json)['seed']);
  }
  assert.ok(seeds.size > 1, 'they differ');
});

test('connections are kept open for longer than proxies keep theirs', async (t) => {
  const served = await serve(t, { worker: false });
  const socket = await sendRaw(t, served.url, { path: '/livez' });
  const answer = await readUntil(socket, '}');
  assert.match(answer, /^connection: keep-alive\r$/im);
  const seconds = Number(/^keep-alive: timeout=(\d+)\r$/im.exec(answer)?.[1]);
  assert.ok(seconds > 60, answer);
});

test('headers that do not come to their end are answered 408 with a code, and the connection is closed', async (t) => {
  const served = await serve(t, { worker: false });
  const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  let answer = '';
  socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
  socket.write('POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\nx-slow: ');
  await once(socket, 'close');
  assert.match(answer, /^HTTP\/1\.1 408 /);
  assert.match(answer, /"code":"invalid_request"/);
});

test('the recipe for a proxy waits longer than the server does, and closes idle connections before it', () => {
  const page = readFileSync(new URL('../../docs/containers.md', import.meta.url), 'utf8');
  const seconds = (name: string): number => Number(new RegExp(`${name} (\\d+)s;`).exec(page)?.[1]);
  // `--wait-timeout`
  assert.ok(seconds('proxy_read_timeout') > 290);
  assert.ok(seconds('keepalive_timeout') < 75);
  assert.match(page, /proxy_buffering off;/);
});

test('the operator’s aliases come before OpenAI’s names, and a strict server knows none of the latter', async (t) => {
  const { NamedModels } = await import('../../src/http/front/model-directory.ts');
  const named = [
    { id: 'sd15', aliases: [] },
    { id: 'sdxl', aliases: ['gpt-image-local', 'dall-e-3'] },
  ];
  const names = { named, fallback: 'sd15', ofWorkers: () => [], nowMs: Date.now };
  for (const isStrict of [false, true]) {
    const models = new NamedModels({ ...names, isStrict });
    const served = await serve(t, { models: named, front: { models } });
    const modelOf = async (model: string): Promise<unknown> => {
      const answer = await post(served, '/v1/images/generations', { prompt: 'a', model, ...SMALL });
      return answer.status === 200 ? answer.headers.get('text2img-model') : answer.status;
    };
    assert.equal(await modelOf('dall-e-3'), 'sdxl');
    assert.equal(await modelOf('gpt-image-local'), 'sdxl');
    for (const name of ['dall-e-2', 'gpt-image-1', 'chatgpt-image-latest', 'gpt-image-2.5-mini'])
      assert.equal(await modelOf(name), isStrict ? 404 : 'sd15', name);
    assert.equal(await modelOf(''), 'sd15');
  }
});

test('URLs begin with --public-url where it is given, else as the client named the host', async (t) => {
  const signer = new UrlSigner({ secrets: ['a secret of the test'] });
  const origins = { allowed: new Set<string>(), hosts: new Set<string>(), checksHosts: true };
  for (const publicUrl of [undefined, 'https://images.example/t2i']) {
    const served = await serve(t, { server: { signer, origins: { ...origins, publicUrl } } });
    const base = publicUrl ?? served.url;
    const body = { prompt: 'a', ...SMALL, response_format: 'url' };
    const { data } = (await (await post(served, '/v1/images/generations', body)).json()) as {
      readonly data: readonly { readonly url: string }[];
    };
    assert.ok(data[0]?.url.startsWith(`${base}/images/`), data[0]?.url);
    const prompt = await createAndWait(served, { text: 'a' });
    const [image] = prompt['images'] as readonly Json[];
    for (const url of [image?.['url'], image?.['signed_url']])
      assert.ok(String(url).startsWith(`${base}/`), String(url));
    const made = await create(served, { text: 'b' });
    assert.ok(made.headers.get('location')?.startsWith(`${base}/api/v1/prompts/`));
  }
});

test('secrets in a body of Ollama’s API reach neither document nor answer', async (t) => {
  const served = await serve(t);
  const secrets = { url: 'http://S3CRET', auth: 'u:S3CRET', key: 'S3CRET' };
  const body = { prompt: 'a', ...SMALL, stream: false, ...secrets, options: secrets };
  const answer = await post(served, '/api/generate', body);
  const [job] = await served.queue.list({ limit: 1 });
  assert.equal(answer.status, 200);
  for (const text of [await answer.text(), JSON.stringify([...answer.headers]), JSON.stringify(job)])
    assert.ok(!text.includes('S3CRET'), text);
});

test('a wait that is too long is 504 at each API, in its own shape, to be sent again', async (t) => {
  const served = await serve(t, { worker: false, front: { waitTimeoutMs: 50 } });
  for (const [path, body, name] of [
    ['/v1/images/generations', {}, 'error'],
    ['/sdapi/v1/txt2img', {}, 'errors'],
    ['/api/generate', { stream: false }, 'error'],
  ] as const) {
    const answer = await post(served, path, { prompt: 'a', ...SMALL, ...body });
    assert.deepEqual([answer.status, answer.headers.get('x-should-retry')], [504, 'true'], path);
    assert.match(answer.headers.get('text2img-id') ?? '', /^[0-9a-f]{24}$/, path);
    const seconds = Number(answer.headers.get('retry-after'));
    assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, path);
    assert.ok(name in ((await answer.json()) as Json), path);
  }
});

test('every stream shows a sign of life while its job waits', async (t) => {
  const served = await serve(t, { worker: false });
  const { body } = await create(served, { text: 'a' });
  const requests = [
    { path: `/api/v1/prompts/${String(body['id'])}/events` },
    { method: 'POST', path: '/v1/images/generations', body: { prompt: 'a', ...SMALL, stream: true } },
    { method: 'POST', path: '/api/generate', body: { prompt: 'a', ...SMALL } },
  ];
  const signs = [': still here', ': waiting', '"done":false}\n'];
  await Promise.all(
    requests.map(async (request, index) => {
      const socket = await sendRaw(t, served.url, request);
      // The first text comes at once; behind it nothing happens but the sign.
      await readUntil(socket, index === 0 ? 'event: status' : index === 1 ? ': ' : '"done":false}\n');
      assert.ok((await readUntil(socket, signs[index] ?? '')).includes(signs[index] ?? ''), request.path);
    }),
  );
});
