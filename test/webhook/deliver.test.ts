/** Webhooks over real sockets: what is sent, what each answer leads to, and the outbox that outlives it all. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { ERROR_CODES, type ErrorCode } from '../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import type { DueWebhook } from '../../src/queue/webhook-outbox.ts';
import { deliver, type DeliverOptions } from '../../src/webhook/deliver.ts';
import { WebhookDeliverer } from '../../src/webhook/deliverer.ts';
import { parseRetryAfter, pauseAfter } from '../../src/webhook/retry-schedule.ts';
import { parseWebhookSecrets } from '../../src/webhook/webhook-keys.ts';
import { WebhookPolicy } from '../../src/webhook/webhook-policy.ts';
import { longestDeliveryMs } from './longest-delivery.ts';
import {
  type Answer,
  startRawReceiver,
  startWebhookReceiver,
  type WebhookReceiver,
} from '../servers/webhook-receiver.ts';

async function startReceiver(t: TestContext, answer?: Answer): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver(answer);
  t.after(() => receiver[Symbol.asyncDispose]());
  return receiver;
}

/** Waits for what must come; without it the test runner's limit ends the test. */
async function waitUntil(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(10);
}

const DUE: DueWebhook = { promptId: 'p', id: 'msg_x', body: '{"results":[]}', attempts: 0, token: 't' };
const SECRET = `whsec_${randomBytes(32).toString('base64')}`;

function options(changes: Partial<DeliverOptions> = {}): DeliverOptions {
  return {
    operatorUrl: undefined,
    secrets: [],
    guard: { allowedHosts: new Set() },
    userAgent: 'text2img/test',
    timeoutMs: 2000,
    ...changes,
  };
}

test('the operator’s receiver gets one POST with the exact body, JSON headers and a signature that verifies', async (t) => {
  const receiver = await startReceiver(t);
  const outcome = await deliver(DUE, options({ operatorUrl: receiver.url, secrets: parseWebhookSecrets(SECRET) }));
  assert.deepEqual(outcome, { kind: 'delivered' });
  const [got] = receiver.received;
  assert.ok(got !== undefined && receiver.received.length === 1);
  assert.deepEqual([got.method, got.url, got.body], ['POST', '/hook', DUE.body]);
  assert.deepEqual(
    [got.headers['content-type'], got.headers['user-agent'], got.headers['webhook-id']],
    ['application/json', 'text2img/test', 'msg_x'],
  );
  new Webhook(SECRET).verify(got.body, got.headers as Record<string, string>);
});

test('a document’s own receiver is not signed for, and must be allowed to be private', async (t) => {
  const receiver = await startReceiver(t);
  const due = { ...DUE, url: receiver.url };
  const secrets = parseWebhookSecrets(SECRET);
  const refused = await deliver(due, options({ secrets }));
  assert.equal(refused.kind, 'dead');
  assert.equal(receiver.received.length, 0);
  const guard = { allowedHosts: new Set([receiver.host]) };
  assert.equal((await deliver(due, options({ secrets, guard }))).kind, 'delivered');
  assert.equal(receiver.received[0]?.headers['webhook-signature'], undefined);
});

test('a name that resolves to this machine is refused when the connection is made', async () => {
  const lookup = ((_name: string, _options: object, callback: (error: null, found: object[]) => void) =>
    callback(null, [{ address: '127.0.0.1', family: 4 }])) as unknown as NonNullable<DeliverOptions['lookup']>;
  const outcome = await deliver({ ...DUE, url: 'https://rebound.example/' }, options({ lookup }));
  assert.equal(outcome.kind, 'dead');
  assert.match(outcome.kind === 'dead' ? outcome.error : '', /rebound\.example.*127\.0\.0\.1/);
});

test('an error with a code of ours ends a webhook exactly where the table of codes says "fail"', async () => {
  for (const [code, { consequence }] of Object.entries(ERROR_CODES)) {
    const lookup = ((_name: string, _options: object, callback: (error: Error) => void) =>
      callback(new Text2ImgError(code as ErrorCode, 'no.'))) as unknown as NonNullable<DeliverOptions['lookup']>;
    const outcome = await deliver({ ...DUE, url: 'https://receiver.example/' }, options({ lookup }));
    assert.equal(outcome.kind, consequence === 'fail' ? 'dead' : 'retry', code);
  }
});

test('a redirect, an error, a dropped connection and silence are tried again; 410 is the end', async (t) => {
  const answers: readonly (readonly [Answer, RegExp])[] = [
    [(response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(), /302/],
    [(response) => response.writeHead(500).end(), /500/],
    [(response) => response.destroy(), /hang up|ECONNRESET/],
    [() => undefined, /no answer within/],
  ];
  for (const [answer, reason] of answers) {
    const receiver = await startReceiver(t, answer);
    const outcome = await deliver(DUE, options({ operatorUrl: receiver.url, timeoutMs: 200 }));
    assert.ok(outcome.kind === 'retry' && reason.test(outcome.error), JSON.stringify(outcome));
    assert.equal(receiver.received.length, 1, 'a redirect is not followed');
  }
  const gone = await startReceiver(t, (response) => response.writeHead(410).end());
  assert.equal((await deliver(DUE, options({ operatorUrl: gone.url }))).kind, 'dead');
});

test('an answer without end is cut off, and its status counts', async (t) => {
  const receiver = await startReceiver(t, (response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('x'.repeat(50_000)), 1);
    response.on('close', () => clearInterval(timer));
  });
  assert.equal((await deliver(DUE, options({ operatorUrl: receiver.url }))).kind, 'delivered');
});

/** [what the receiver sends, what follows]; `later` is sent again and again until the connection closes. */
const ODD_ANSWERS: Readonly<Record<string, readonly ['delivered' | 'retry' | 'dead', string, string?]>> = {
  'a switch to HTTP/2': ['retry', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
  'a switch to nothing that anybody knows, with bytes behind it': [
    'retry',
    'HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx',
    'y',
  ],
  'early hints, processing, then a 201': [
    'delivered',
    'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n',
  ],
  'interim answers without end': ['retry', 'HTTP/1.1 102 Processing\r\n\r\n', 'HTTP/1.1 102 Processing\r\n\r\n'],
  'a head that never ends': ['retry', 'HTTP/1.1 200 OK\r\nX-Y: ', 'z'],
  'a head of 100 kB': ['retry', `HTTP/1.1 200 OK\r\nX-Y: ${'z'.repeat(100_000)}\r\n\r\n`],
  'something that is not HTTP': ['retry', 'SSH-2.0-OpenSSH_9.9\r\n'],
  'a 202 whose body is announced and never comes': ['delivered', 'HTTP/1.1 202 OK\r\nContent-Length: 99\r\n\r\n'],
  'a 200 whose body trickles': ['delivered', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '2\r\nxy\r\n'],
  'a 205 with a body': ['delivered', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 3\r\n\r\nabc'],
  'a 200 with broken chunks': ['delivered', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n'],
  'a 410 whose body never comes': ['dead', 'HTTP/1.1 410 Gone\r\nContent-Length: 5\r\n\r\n'],
  'a 500 whose body never comes': ['retry', 'HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\n'],
};

for (const [name, [kind, first, later]] of Object.entries(ODD_ANSWERS)) {
  test(`settles: ${name}`, async (t) => {
    const receiver = await startRawReceiver((socket) => {
      socket.write(first);
      if (later === undefined) return;
      const timer = setInterval(() => socket.write(later), 20);
      socket.on('close', () => clearInterval(timer));
    });
    t.after(() => receiver[Symbol.asyncDispose]());
    const outcome = await deliver(DUE, options({ operatorUrl: receiver.url, timeoutMs: 1000 }));
    assert.equal(outcome.kind, kind, JSON.stringify(outcome));
    await waitUntil(() => receiver.open() === 0);
  });
}

test('a 2xx head counts though the connection is reset right behind it, or closed half', async (t) => {
  for (const act of ['resetAndDestroy', 'end'] as const) {
    const receiver = await startRawReceiver((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', () => setTimeout(() => socket[act](), 30));
    });
    t.after(() => receiver[Symbol.asyncDispose]());
    assert.deepEqual(await deliver(DUE, options({ operatorUrl: receiver.url })), { kind: 'delivered' });
  }
});

test('a receiver that closes without a word, or takes the request and stays silent, is tried again', async (t) => {
  for (const act of ['end', 'resume'] as const) {
    const receiver = await startRawReceiver((socket) => void socket[act]());
    t.after(() => receiver[Symbol.asyncDispose]());
    assert.equal((await deliver(DUE, options({ operatorUrl: receiver.url, timeoutMs: 500 }))).kind, 'retry');
  }
});

test('a signal ends a try at once; it does not count, and the next process sends it at once', async (t) => {
  const receiver = await startRawReceiver(() => undefined);
  t.after(() => receiver[Symbol.asyncDispose]());
  const stop = new AbortController();
  const trying = deliver(DUE, options({ operatorUrl: receiver.url, timeoutMs: 600_000, signal: stop.signal }));
  await waitUntil(() => receiver.open() === 1);
  stop.abort();
  const outcome = await trying;
  assert.ok(outcome.kind === 'postpone' && outcome.delayMs === 0, JSON.stringify(outcome));
  await waitUntil(() => receiver.open() === 0);
});

test('the operator’s webhook goes through his proxy, a document’s never, even where Node is told to use one for all', async (t) => {
  const proxy = await startReceiver(t, (response) => response.writeHead(299).end());
  const receiver = await startReceiver(t);
  const script = `
    import { deliver } from ${JSON.stringify(new URL('../../src/webhook/deliver.ts', import.meta.url).href)};
    const due = { promptId: 'p', id: 'msg_x', body: '{}', attempts: 0, token: 't' };
    const proxies = { http: ${JSON.stringify(`http://${proxy.host}`)}, https: undefined, none: [] };
    const options = { operatorUrl: 'http://hooks.invalid/operator', proxies, secrets: [], guard: { allowedHosts: new Set(['127.0.0.1']) }, userAgent: 'x' };
    console.log(JSON.stringify([await deliver(due, options), await deliver({ ...due, url: ${JSON.stringify(receiver.url)} }, options)]));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', script], {
    env: { PATH: process.env['PATH'], NODE_USE_ENV_PROXY: '1', HTTP_PROXY: `http://${proxy.host}` },
  });
  assert.deepEqual(JSON.parse(stdout), [{ kind: 'delivered' }, { kind: 'delivered' }]);
  assert.deepEqual(
    [proxy.received.map(({ url }) => url), receiver.received.length],
    [['http://hooks.invalid/operator'], 1],
  );
});

test('an error that is kept with the webhook is short and has no control characters', async (t) => {
  const receiver = await startRawReceiver((socket) => void socket.end(`\u001b[2J${'x'.repeat(5000)}\r\n`));
  t.after(() => receiver[Symbol.asyncDispose]());
  const outcome = await deliver(DUE, options({ operatorUrl: receiver.url }));
  assert.ok(outcome.kind === 'retry' && outcome.error.length <= 300 && !outcome.error.includes('\u001b'));
});

test('the receiver’s retry-after is honoured, and after the tenth try it is given up', async (t) => {
  const receiver = await startReceiver(t, (response) => response.writeHead(503, { 'retry-after': '7200' }).end());
  const first = await deliver(DUE, options({ operatorUrl: receiver.url }));
  assert.deepEqual(first.kind === 'retry' && first.delayMs, 7_200_000);
  const last = await deliver({ ...DUE, attempts: 9 }, options({ operatorUrl: receiver.url }));
  assert.match(last.kind === 'dead' ? last.error : '', /all 10 attempts failed.*503/);
});

test('without a URL to send it to it is closed as no_url', async () => {
  const outcome = await deliver(DUE, options());
  assert.ok(outcome.kind === 'dead' && outcome.error.startsWith('no_url: '), JSON.stringify(outcome));
});

test('the schedule is 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, with a tenth of jitter', () => {
  const hours = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24];
  for (const [index, pause] of hours.entries()) {
    const middle = pause * 3_600_000;
    assert.equal(pauseAfter(index + 1, { random: () => 0.5 }), Math.round(middle));
    assert.equal(pauseAfter(index + 1, { random: () => 0 }), Math.round(middle * 0.9));
  }
  assert.equal(pauseAfter(10), undefined);
  assert.equal(Math.round(longestDeliveryMs() / 1.1 / 60_000), 75 * 60 + 35);
});

test('retry-after is read as seconds or as a date, and nonsense is ignored', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(parseRetryAfter('120', now), 120_000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:01:00 GMT', now), 60_000);
  assert.equal(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
  for (const nonsense of ['soon', '', '-7', '2.5', '0x20', '9e9', '90s', '10, 20', 'Thursday', '2026-01-01T00:01:00Z'])
    assert.equal(parseRetryAfter(nonsense, now), undefined, nonsense);
  assert.equal(parseRetryAfter(undefined, now), undefined);
});

const RUN = { promptId: 'p', docKey: 'k', runId: 'r', prompt: 'a "fox"', callbackUrl: undefined };

function policy(changes: Partial<ConstructorParameters<typeof WebhookPolicy>[0]> = {}): WebhookPolicy {
  return new WebhookPolicy({
    hasOperatorUrl: true,
    events: new Set(['completed'] as const),
    guard: { allowedHosts: new Set() },
    publicUrl: async (url) => url.replace('gs://', 'https://cdn/'),
    ...changes,
  });
}

test('the body is exactly the contract’s, one result per picture in order', async () => {
  const owed = await policy().forCompletion(RUN, ['gs://b/p.png', 'gs://b/p.2.png']);
  assert.equal(
    owed?.body,
    '{"results":[{"prompt_id":"p","prompt":"a \\"fox\\"","image_url":"https://cdn/b/p.png"},{"prompt_id":"p","prompt":"a \\"fox\\"","image_url":"https://cdn/b/p.2.png"}]}',
  );
});

test('a prompt of a megabyte is cut in what is sent, once for each picture', async () => {
  const long = { ...RUN, prompt: 'ä😀'.repeat(400_000) };
  const completed = await policy().forCompletion(
    long,
    Array.from({ length: 16 }, (_, index) => `gs://b/p.${index}.png`),
  );
  const failed = policy({ events: new Set(['error'] as const) }).forFailure(long, 'x: y');
  for (const [owed, most] of [
    [completed, 16 * 200_000],
    [failed, 200_000],
  ] as const) {
    assert.ok(Buffer.byteLength(owed?.body ?? '') < most);
    assert.ok(!/\\ud[89a-f]/.test(owed?.body ?? ''), 'no half of a character');
  }
});

test('failures are told only to those who asked for them', () => {
  assert.equal(policy().forFailure(RUN, 'x: y'), undefined);
  const owed = policy({ events: new Set(['completed', 'error'] as const) }).forFailure(RUN, 'invalid_prompt: no.');
  assert.equal(
    owed?.body,
    '{"results":[],"errors":[{"prompt_id":"p","prompt":"a \\"fox\\"","error":"invalid_prompt: no."}]}',
  );
});

test('a failure is not told to a URL that is refused, which may be why it failed', () => {
  const both = policy({ events: new Set(['completed', 'error'] as const) });
  for (const callbackUrl of ['http://10.0.0.1/', `https://example.com/${'x'.repeat(9_000_000)}`, 'no URL'])
    assert.equal(both.forFailure({ ...RUN, callbackUrl }, 'x: y'), undefined);
  assert.equal(both.forFailure({ ...RUN, callbackUrl: 'https://example.com/' }, 'x: y')?.url, 'https://example.com/');
});

test('one run of one document has one id, any other another', async () => {
  const id = async (changes: object): Promise<string | undefined> =>
    (await policy().forCompletion({ ...RUN, ...changes }, ['gs://b/p.png']))?.id;
  assert.equal(await id({}), await id({ prompt: 'another' }));
  assert.equal(new Set([await id({}), await id({ runId: 's' }), await id({ docKey: 'l' })]).size, 3);
});

test('nothing is owed where nobody wants it; a document’s own URL is frozen', async () => {
  assert.equal(await policy({ hasOperatorUrl: false }).forCompletion(RUN, ['gs://b/p.png']), undefined);
  const own = { ...RUN, callbackUrl: 'https://example.com/x' };
  assert.equal(
    (await policy({ hasOperatorUrl: false }).forCompletion(own, ['gs://b/p.png']))?.url,
    'https://example.com/x',
  );
});

test('the deliverer sends what is owed, again after a failure, with the same bytes and id, and stops', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-hooks-'));
  const queue = new SqlitePromptQueue({ path: join(folder, 'q.sqlite'), leaseMs: 60_000, maxAttempts: 5, owner: 'w' });
  t.after(async () => {
    await queue[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  const receiver = await startReceiver(t, (response, count) => void response.writeHead(count === 1 ? 503 : 204).end());
  await queue.enqueue([{ text: 'x' }]);
  const [claimed] = await queue.claim({ limit: 1 });
  assert.ok(claimed !== undefined);
  const record = { imageUrls: ['file:///x.png'], seed: 1, parameters: {}, warnings: [] };
  await queue.complete(claimed, record, { id: 'msg_1', body: '{"results":[1]}' });
  const deliverer = new WebhookDeliverer({
    ...options({ operatorUrl: receiver.url }),
    outbox: queue.outbox,
    logger: silentLogger,
    pollMs: 50,
  });
  // The second try falls due 5 s after the first.
  const summary = await deliverer.drain({ withinMs: 10_000, signal: new AbortController().signal });
  assert.deepEqual(summary, { delivered: 1, failedTries: 1, dead: 0, withoutUrl: 0 });
  assert.deepEqual(
    receiver.received.map(({ body, headers }) => [body, headers['webhook-id']]),
    [
      ['{"results":[1]}', 'msg_1'],
      ['{"results":[1]}', 'msg_1'],
    ],
  );
});
