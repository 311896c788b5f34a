/** The server itself, over a real queue and a worker: routes, errors, ids, keys and what clients get wrong about URLs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { revokeKeys } from '../../src/http/keys/edit-key-file.ts';
import type { Logger, LogFields } from '../../src/observability/logger.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { allOf } from '../lib/all-of.ts';
import { serve, type Served } from './served.ts';
import { WAITING_DOOR } from './waiting-door.ts';

const doors = [WAITING_DOOR];
const SMALL = { text: 'a fox', width: 8, height: 8, num_inference_steps: 2 };
const POST = { method: 'POST', body: JSON.stringify(SMALL) } as const;

async function codeOf(answer: Response): Promise<unknown> {
  return ((await answer.json()) as { code?: unknown }).code;
}

async function pending({ queue }: Served): Promise<number> {
  const { pending: waiting, processing, completed, error } = await queue.counts();
  return waiting + processing + completed + error;
}

test('a request waits for its job, and its image is in the store', async (t) => {
  const served = await serve(t, { doors });
  const answer = await fetch(`${served.url}/test/generate`, POST);
  assert.equal(answer.status, 200);
  const { id } = (await answer.json()) as { id: string };
  const caller = {
    key: undefined,
    requestId: 'test',
    retryCount: 0,
    gone: new AbortController().signal,
    door: 'jobs',
    host: served.url,
  } as const;
  const [image, ...others] = await served.front.images(caller, id);
  assert.equal(others.length, 0);
  await using opened = (await image?.open()) ?? assert.fail();
  assert.equal(Buffer.concat(await allOf(opened.pieces())).toString('latin1', 1, 4), 'PNG');
});

test('/livez and /readyz answer without a key, and only the second one says that the server is going', async (t) => {
  const served = await serve(t, { doors, keys: ['alice'], worker: false });
  for (const path of ['/livez', '/readyz']) assert.equal((await fetch(`${served.url}${path}`)).status, 200, path);
  served.lifecycle.drain();
  assert.equal((await fetch(`${served.url}/livez`)).status, 200);
  const answer = await fetch(`${served.url}/readyz`);
  assert.deepEqual([answer.status, ((await answer.json()) as { reasons: unknown }).reasons], [503, ['shutting_down']]);
});

test('bodies that are no JSON are refused by a code, nothing is added, and nothing of them is logged', async (t) => {
  const lines: string[] = [];
  const served = await serve(t, { doors, worker: false, logger: recorder(lines) });
  const secret = 'hunter2';
  const bodies: readonly (readonly [string | Uint8Array, string])[] = [
    [`{"text": "${secret}"`, 'invalid_body'],
    [`{"text": ${secret}}`, 'invalid_body'],
    [`${secret}`, 'invalid_body'],
    [`text=${secret}&width=8`, 'invalid_body'],
    ['[1, 2]', 'invalid_body'],
    ['"text"', 'invalid_body'],
    ['', 'invalid_body'],
    ['   ', 'invalid_body'],
    [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), 'invalid_body'],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'invalid_body'],
    [`{"text": "a", "x": ${'{"a":'.repeat(65)}1${'}'.repeat(65)}}`, 'invalid_body'],
    [`{"text": 7}`, 'invalid_prompt'],
    [`{"text": "a", "width": 7}`, 'invalid_parameter'],
  ];
  for (const [body, code] of bodies) {
    const answer = await fetch(`${served.url}/test/generate`, { method: 'POST', body });
    assert.deepEqual([answer.status, await codeOf(answer)], [400, code], String(body).slice(0, 40));
  }
  assert.equal(await pending(served), 0);
  assert.ok(lines.length >= bodies.length, 'requests are logged');
  assert.ok(!lines.some((line) => line.includes(secret)), 'nothing secret is logged');
});

test('brackets and backslashes in texts do not count as depth, and control characters in a prompt are kept', async (t) => {
  const served = await serve(t, { doors });
  const text = `${'[{'.repeat(100)} \\" \\\\ ${'}'.repeat(3)} \u0001\u001b[2J\u202e`;
  const answer = await fetch(`${served.url}/test/generate`, {
    method: 'POST',
    body: JSON.stringify({ ...SMALL, text }),
  });
  assert.equal(answer.status, 200);
  const { id } = (await answer.json()) as { id: string };
  assert.equal((await served.queue.show(id))?.text, text);
});

test('64 MB of body are refused without being read, with a length and without one', async (t) => {
  const served = await serve(t, { doors, worker: false });
  const before = process.memoryUsage().rss;
  const megabyte = Buffer.alloc(1024 * 1024, ' ');
  const whole = await fetch(`${served.url}/test/generate`, {
    method: 'POST',
    body: Buffer.concat(Array(64).fill(megabyte)),
  });
  assert.deepEqual([whole.status, await codeOf(whole)], [413, 'body_too_large']);
  const chunked = await uploadInChunks(served, megabyte, 64);
  assert.match(chunked, /^HTTP\/1\.1 413 /);
  assert.equal(await pending(served), 0);
  // The test's own 64 MB are counted too.
  assert.ok(process.memoryUsage().rss - before < 400 * 1024 * 1024);
});

/** @returns the answer as it comes over the line; the upload stops when the server closes it */
async function uploadInChunks({ url }: Served, chunk: Buffer, count: number): Promise<string> {
  const socket = await open(url);
  socket.write('POST /test/generate HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n');
  let answer = '';
  socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
  for (let sent = 0; sent < count && !socket.destroyed && answer === ''; sent++) {
    socket.write(`${chunk.length.toString(16)}\r\n`);
    socket.write(chunk);
    if (!socket.write('\r\n')) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
  }
  while (answer === '' && !socket.destroyed) await sleep(10);
  socket.destroy();
  return answer;
}

async function open(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('a thousand idle connections and clients that never finish their headers keep nobody waiting', async (t) => {
  const served = await serve(t, { doors });
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => open(served.url)));
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  for (const [index, socket] of sockets.entries())
    if (index % 4 === 0) socket.write('POST /test/generate HTTP/1.1\r\nhost: localhost\r\nx-slow: ');
  const answer = await fetch(`${served.url}/test/generate`, POST);
  assert.equal(answer.status, 200);
});

test('headers that are too large, and what is no HTTP, are answered and closed', async (t) => {
  const served = await serve(t, { doors, worker: false });
  const answerTo = async (text: string): Promise<string> => {
    const socket = await open(served.url);
    let answer = '';
    socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
    socket.write(text);
    await once(socket, 'close');
    return answer;
  };
  assert.match(
    await answerTo(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  );
  const broken = await answerTo('hello\r\n\r\n');
  assert.match(broken, /^HTTP\/1\.1 400 /);
  assert.match(broken, /"code":"invalid_request"/);
});

test('without a key, with a wrong one and with a revoked one the answer is 401; each way of sending it works', async (t) => {
  const served = await serve(t, { doors, keys: ['alice', 'bob'], worker: false });
  const [alice, bob] = [served.secretOf('alice'), served.secretOf('bob')];
  const show = (headers: Record<string, string>) => fetch(`${served.url}/test/jobs/x`, { headers });
  const basic = `Basic ${Buffer.from(`anybody:${alice}`).toString('base64')}`;
  const good = [
    { authorization: `Bearer ${alice}` },
    { authorization: basic },
    { 'x-api-key': alice },
    { 'api-key': alice },
  ];
  for (const headers of good) assert.equal((await show(headers)).status, 404, JSON.stringify(Object.keys(headers)));
  const bad = [
    {},
    { authorization: '' },
    { authorization: 'Basic' },
    { authorization: 'Bearer ' },
    { authorization: `Bearer ${alice}x` },
  ];
  for (const headers of bad) {
    const answer = await show(headers);
    assert.deepEqual([answer.status, await codeOf(answer)], [401, 'unauthorized']);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
    assert.equal(answer.headers.get('x-should-retry'), 'false');
  }
  // Never from a URL.
  assert.equal((await fetch(`${served.url}/test/jobs/x?api_key=${alice}&key=${alice}`)).status, 401);
  await revokeKeys(`${served.folder}/keys`, 'bob');
  while ((await show({ authorization: `Bearer ${bob}` })).status !== 401) await sleep(50);
  assert.equal((await show({ authorization: `Bearer ${alice}` })).status, 404);
});

test('a job of another key is not there, over HTTP too', async (t) => {
  const served = await serve(t, { doors, keys: ['alice', 'bob', 'admin-1'] });
  const as = (name: string) => ({ authorization: `Bearer ${served.secretOf(name)}` });
  const made = await fetch(`${served.url}/test/generate`, { ...POST, headers: as('alice') });
  const { id } = (await made.json()) as { id: string };
  const status = async (name: string, method = 'GET') =>
    (await fetch(`${served.url}/test/jobs/${id}`, { method, headers: as(name) })).status;
  assert.deepEqual([await status('alice'), await status('bob'), await status('admin-1')], [200, 404, 200]);
  assert.equal(await status('bob', 'DELETE'), 404);
});

test('base URLs that are joined with too many slashes or with /v1 twice find their routes, without a redirect', async (t) => {
  const served = await serve(t, { worker: false });
  for (const path of [
    '/v1/models',
    '//v1//models',
    '/v1/v1/models',
    '/v1/v1/v1/models/',
    '/v1/models/?api-version=2024',
    '/models',
    '//models',
  ]) {
    const answer = await fetch(`${served.url}${path}`, { redirect: 'error' });
    assert.equal(answer.status, 200, path);
  }
  const answer = await viaSocket(
    t,
    served,
    `GET ${served.url}/v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
  );
  assert.match(answer, /^HTTP\/1\.1 200 /);
});

async function viaSocket(t: TestContext, { url }: Served, text: string): Promise<string> {
  const socket = await open(url);
  t.after(() => socket.destroy());
  let answer = '';
  socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

test('OPTIONS is answered with 204 and the methods before any key; a wrong method is 405, a wrong path 404, in the API’s own shape', async (t) => {
  const served = await serve(t, { doors, keys: ['alice'], worker: false });
  const options = await fetch(`${served.url}/test/generate`, { method: 'OPTIONS' });
  assert.deepEqual([options.status, options.headers.get('allow')], [204, 'OPTIONS, POST']);
  assert.equal(
    (await fetch(`${served.url}/test/jobs/7`, { method: 'OPTIONS' })).headers.get('allow'),
    'DELETE, GET, HEAD, OPTIONS',
  );
  assert.equal((await fetch(`${served.url}/nothing`, { method: 'OPTIONS' })).status, 404);
  const headers = { authorization: `Bearer ${served.secretOf('alice')}` };
  const wrong = await fetch(`${served.url}/test/generate`, { headers });
  assert.deepEqual(
    [wrong.status, wrong.headers.get('allow'), await codeOf(wrong)],
    [405, 'OPTIONS, POST', 'method_not_allowed'],
  );
  const nothing = await fetch(`${served.url}/test/nothing`, { headers });
  const body = (await nothing.json()) as Record<string, unknown>;
  assert.deepEqual(
    [nothing.status, body['code'], body['requestId']],
    [404, 'not_found', nothing.headers.get('x-request-id')],
  );
  const elsewhere = await fetch(`${served.url}/elsewhere`, { headers });
  assert.match(elsewhere.headers.get('content-type') ?? '', /^application\/problem\+json/);
  for (const path of ['/test/jobs/%', '/test/jobs/%zz', `/test/jobs/${'x'.repeat(5000)}`])
    assert.ok([400, 404].includes((await fetch(`${served.url}${path}`, { headers })).status), path.slice(0, 20));
});

test('a harmless x-request-id is kept, any other is replaced, and every answer has one', async (t) => {
  const served = await serve(t, { doors, worker: false });
  const idOf = async (given: string | undefined, path = '/test/nothing') => {
    const headers = given === undefined ? {} : { 'x-request-id': given };
    return (await fetch(`${served.url}${path}`, { headers })).headers.get('x-request-id');
  };
  assert.equal(await idOf('my-Request_1.2'), 'my-Request_1.2');
  assert.equal(await idOf('my-Request_1.2', '/livez'), 'my-Request_1.2');
  for (const bad of [undefined, 'a b', 'x'.repeat(129), 'a;b', '{"a":1}']) {
    const id = await idOf(bad);
    assert.ok(id !== null && id !== bad && /^[\w.-]+$/.test(id), String(bad));
  }
});

test('a page of another site cannot use the server, unless its origin is allowed', async (t) => {
  const rules = {
    allowed: new Set(['https://app.example']),
    publicUrl: 'https://images.example',
    hosts: new Set<string>(),
    checksHosts: true,
  };
  const served = await serve(t, { doors, server: { origins: rules } });
  const post = (origin: string) => fetch(`${served.url}/test/generate`, { ...POST, headers: { origin } });
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1', 'https://app.example.evil.example']) {
    const refused = await post(origin);
    assert.deepEqual([refused.status, await codeOf(refused)], [403, 'origin_refused'], origin);
    assert.equal(refused.headers.get('access-control-allow-origin'), null);
  }
  assert.equal(await pending(served), 0);
  for (const origin of ['https://app.example', served.url]) assert.equal((await post(origin)).status, 200, origin);
  const preflight = await fetch(`${served.url}/test/generate`, {
    method: 'OPTIONS',
    headers: { origin: 'https://app.example', 'access-control-request-headers': 'authorization, content-type' },
  });
  assert.deepEqual(
    ['origin', 'methods', 'headers'].map((name) => preflight.headers.get(`access-control-allow-${name}`)),
    ['https://app.example', 'OPTIONS, POST', 'authorization, content-type'],
  );
  const other = await fetch(`${served.url}/test/generate`, {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example' },
  });
  assert.deepEqual([other.status, other.headers.get('access-control-allow-origin')], [204, null]);
});

test('a server without keys answers only under its own names, so that no foreign name can be pointed at it', async (t) => {
  const origins = { allowed: new Set<string>(), publicUrl: 'https://images.example', checksHosts: true };
  const statusUnder = async (served: Served, host: string, path = '/test/jobs/x'): Promise<number> => {
    const text = `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
    return Number(/^HTTP\/1\.1 (\d+)/.exec(await viaSocket(t, served, text))?.[1]);
  };
  const named = new Set(['box.lan', 'proxy.example']);
  const served = await serve(t, { doors, worker: false, server: { origins: { ...origins, hosts: named } } });
  const own = [
    'localhost:7860',
    '127.0.0.1',
    '192.168.1.7:7860',
    '[::1]:7860',
    'host.docker.internal:7860',
    'server:7860',
  ];
  const known = [
    'text2img.default.svc.cluster.local',
    'nas.home.arpa',
    'images.example',
    'IMAGES.example.',
    'box.lan:7860',
    'Proxy.Example',
  ];
  for (const host of [...own, ...known]) assert.equal(await statusUnder(served, host), 404, host);
  for (const host of [
    'evil.example',
    'evil.example:7860',
    '127.0.0.1.evil.example',
    'x.box.lan',
    'evil.home.arpa.example',
  ]) {
    assert.equal(await statusUnder(served, host), 403, host);
    assert.equal(await statusUnder(served, host, '/readyz'), 403, host);
  }
  const any = await serve(t, { doors, worker: false, server: { origins: { ...origins, hosts: new Set(['*']) } } });
  assert.equal(await statusUnder(any, 'evil.example'), 404);
  const withKeys = { ...origins, hosts: new Set<string>(), checksHosts: false };
  const asks = await serve(t, { doors, keys: ['alice'], worker: false, server: { origins: withKeys } });
  assert.equal(await statusUnder(asks, 'evil.example'), 401);
});

test('the refusal of a foreign host name names the option that allows it', async (t) => {
  const served = await serve(t, { doors, worker: false });
  const text = 'GET /test/jobs/x HTTP/1.1\r\nhost: box.lan:1\r\nconnection: close\r\n\r\n';
  const answer = await viaSocket(t, served, text);
  assert.match(answer, /origin_refused/);
  assert.match(answer, /box\.lan:1.*--allowed-hosts/);
});

test('each request is one line of the log: route, status and key, no URL, no header', async (t) => {
  const lines: string[] = [];
  const served = await serve(t, { doors, keys: ['alice'], worker: false, logger: recorder(lines) });
  const secret = served.secretOf('alice');
  await fetch(`${served.url}/test/jobs/some-id?token=hunter2`, { headers: { 'x-api-key': secret, cookie: 'hunter2' } });
  await fetch(`${served.url}/hunter2`, { headers: { 'x-api-key': secret } });
  const whole = await (await fetch(`${served.url}/openapi.json`, { headers: { 'x-api-key': secret } })).arrayBuffer();
  while (lines.length < 3) await sleep(10);
  const [first = '', second = ''] = lines;
  const { bytes } = JSON.parse(lines.find((line) => line.includes('/openapi.json')) ?? '{}') as { bytes: number };
  assert.ok(bytes > whole.byteLength && bytes < whole.byteLength + 2000, 'the answer and its head');
  assert.match(first, /"route":"\/test\/jobs\/:id","status":404/);
  assert.match(first, /"key":"alice"/);
  assert.match(second, /"route":"none","status":404/);
  assert.ok(!lines.some((line) => line.includes('hunter2') || line.includes(secret) || line.includes('some-id')));
});

function recorder(lines: string[]): Logger {
  const note = (message: string, fields?: LogFields): void => {
    if (message.startsWith('request')) lines.push(JSON.stringify(fields));
  };
  return { ...silentLogger, info: note, warning: note, error: note };
}

test('a server that is closing takes no more requests and says that they should be sent again', async (t) => {
  const served = await serve(t, { doors, worker: false });
  served.lifecycle.close();
  const answer = await fetch(`${served.url}/test/generate`, POST);
  assert.deepEqual([answer.status, await codeOf(answer)], [503, 'shutting_down']);
  assert.deepEqual([answer.headers.get('x-should-retry'), answer.headers.get('connection')], ['true', 'close']);
  assert.equal(await pending(served), 0);
});
