/** Many webhooks at once: what a slow receiver costs the others, and how a drain and a stop end. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../src/observability/logger.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { WebhookDeliverer, type DelivererOptions } from '../../src/webhook/deliverer.ts';
import { DeliverySlots } from '../../src/webhook/delivery-slots.ts';
import { type Answer, startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts';

const RECORD = { imageUrls: ['file:///x.png'], seed: 1, parameters: {}, warnings: [] };

async function openQueue(t: TestContext): Promise<SqlitePromptQueue> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-deliverer-'));
  const queue = new SqlitePromptQueue({ path: join(folder, 'q.sqlite'), leaseMs: 60_000, maxAttempts: 5, owner: 'w' });
  t.after(async () => {
    await queue[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  return queue;
}

/** Completes so many prompts, each with a webhook; those without a URL go to the operator's. */
async function owe(queue: SqlitePromptQueue, count: number, url?: string): Promise<void> {
  await queue.enqueue(Array.from({ length: count }, () => ({ text: 'x' })));
  for (let done = 0; done < count; ) {
    for (const claimed of await queue.claim({ limit: 50 })) {
      const id = `msg_${Math.random().toString(36).slice(2)}`;
      await queue.complete(claimed, RECORD, { id, body: '{}', ...(url === undefined ? {} : { url }) });
      done++;
    }
  }
}

async function startReceiver(t: TestContext, answer?: Answer): Promise<WebhookReceiver> {
  const receiver = await startWebhookReceiver(answer);
  t.after(() => receiver[Symbol.asyncDispose]());
  return receiver;
}

/** The real outbox, of which one method is another. */
function outboxWith(
  { outbox }: SqlitePromptQueue,
  changes: Partial<DelivererOptions['outbox']>,
): DelivererOptions['outbox'] {
  return {
    claimDue: (options) => outbox.claimDue(options),
    record: (webhook, outcome) => outbox.record(webhook, outcome),
    closeWithoutUrl: (error) => outbox.closeWithoutUrl(error),
    list: (options) => outbox.list(options),
    dueNow: (id) => outbox.dueNow(id),
    redrive: (id) => outbox.redrive(id),
    counts: () => outbox.counts(),
    msUntilNextDue: () => outbox.msUntilNextDue(),
    ...changes,
  };
}

const NEVER = new AbortController().signal;

function makeDeliverer(queue: SqlitePromptQueue, changes: Partial<DelivererOptions> = {}): WebhookDeliverer {
  return new WebhookDeliverer({
    outbox: queue.outbox,
    logger: silentLogger,
    operatorUrl: undefined,
    secrets: [],
    guard: { allowedHosts: new Set(['127.0.0.1']) },
    userAgent: 'text2img/test',
    timeoutMs: 60_000,
    ...changes,
  });
}

test('one host that hangs does not keep the others waiting, however many it is owed', async (t) => {
  const queue = await openQueue(t);
  const hanging = await startReceiver(t, () => undefined);
  const good = await startReceiver(t);
  await owe(queue, 70, hanging.url);
  await owe(queue, 5, good.url.replace('/hook', '/other'));
  await owe(queue, 5);
  const deliverer = makeDeliverer(queue, { operatorUrl: good.url });
  t.after(() => deliverer.stop());
  const running = new AbortController();
  const run = deliverer.run(running.signal);
  // Its tries take a minute each: whoever waits behind it waits for minutes, and the runner's limit ends the test.
  while (good.received.length < 10) await sleep(20);
  assert.equal(hanging.received.length, 2, 'two at once to one host');
  running.abort();
  await run;
  await deliverer.stop();
  assert.equal(deliverer.summary.delivered, 10);
  const { pending, dead } = await queue.outbox.counts();
  assert.deepEqual({ pending, dead }, { pending: 70, dead: 0 }, 'nothing is lost');
});

test('strangers’ hosts never hold all slots: the operator’s webhooks go on', async (t) => {
  const queue = await openQueue(t);
  const hanging = await Promise.all(Array.from({ length: 6 }, () => startReceiver(t, () => undefined)));
  for (const { url } of hanging) await owe(queue, 4, url);
  await owe(queue, 6);
  const good = await startReceiver(t);
  const deliverer = makeDeliverer(queue, { operatorUrl: good.url });
  const running = new AbortController();
  const run = deliverer.run(running.signal);
  while (good.received.length < 6) await sleep(20);
  assert.ok(hanging.reduce((sum, { received }) => sum + received.length, 0) <= 6);
  running.abort();
  await run;
  await deliverer.stop();
});

test('never more than eight at once in all and two to one host, and a free slot is filled at once', async (t) => {
  const queue = await openQueue(t);
  const open = new Map<string, number>();
  let most = 0;
  let mostToOne = 0;
  const slowly =
    (name: string) =>
    (response: ServerResponse): void => {
      open.set(name, (open.get(name) ?? 0) + 1);
      most = Math.max(
        most,
        [...open.values()].reduce((a, b) => a + b, 0),
      );
      mostToOne = Math.max(mostToOne, open.get(name) ?? 0);
      setTimeout(() => {
        open.set(name, (open.get(name) ?? 0) - 1);
        response.end();
      }, 30);
    };
  for (let index = 0; index < 7; index++) await owe(queue, 12, (await startReceiver(t, slowly(`${index}`))).url);
  const operators = await startReceiver(t, slowly('operator'));
  await owe(queue, 12);
  const summary = await makeDeliverer(queue, { operatorUrl: operators.url }).drain({
    withinMs: 600_000,
    signal: NEVER,
  });
  assert.equal(summary.delivered, 96);
  assert.deepEqual([most <= 8, most >= 4, mostToOne], [true, true, 2], `${most} at once`);
});

test('a drain ends when its time is up and the tries under way have ended, though more is due', async (t) => {
  const queue = await openQueue(t);
  const hanging = await startReceiver(t, () => undefined);
  await owe(queue, 40);
  const deliverer = makeDeliverer(queue, { operatorUrl: hanging.url, timeoutMs: 300 });
  const summary = await deliverer.drain({ withinMs: 1000, signal: NEVER });
  assert.equal(summary.failedTries, hanging.received.length);
  assert.ok(summary.failedTries >= 2 && summary.failedTries < 40);
  assert.equal((await queue.outbox.counts()).pending, 40);
  // What waited in vain is given back, not kept for the length of a lease.
  assert.equal(await queue.outbox.msUntilNextDue(), 0);
});

test('a stop is over though a receiver hangs; what it cut counts no attempt and is due again', async (t) => {
  const queue = await openQueue(t);
  const hanging = await startReceiver(t, () => undefined);
  await owe(queue, 3);
  const deliverer = makeDeliverer(queue, { operatorUrl: hanging.url, timeoutMs: 600_000 });
  const stopping = new AbortController();
  const draining = deliverer.drain({ withinMs: 600_000, signal: stopping.signal });
  while (hanging.received.length < 2) await sleep(10);
  stopping.abort();
  await draining;
  await deliverer.stop();
  const due = await queue.outbox.claimDue({ limit: 9, leaseMs: 1000 });
  assert.deepEqual(
    due.map(({ attempts }) => attempts),
    [0, 0, 0],
  );
});

test('a stop lets a try end that is about to', async (t) => {
  const queue = await openQueue(t);
  const slow = await startReceiver(t, (response) => void setTimeout(() => response.end(), 400));
  await owe(queue, 1);
  const deliverer = makeDeliverer(queue, { operatorUrl: slow.url });
  const running = new AbortController();
  const run = deliverer.run(running.signal);
  while (slow.received.length < 1) await sleep(10);
  running.abort();
  await run;
  await deliverer.stop();
  assert.equal(deliverer.summary.delivered, 1);
});

test('webhooks that nobody says where to send are closed, in one sentence for all', async (t) => {
  const queue = await openQueue(t);
  await owe(queue, 30);
  const warnings: object[] = [];
  const logger = {
    ...silentLogger,
    warning: (message: string, fields?: object) => void warnings.push({ message, ...fields }),
  };
  const summary = await makeDeliverer(queue, { logger }).drain({ withinMs: 60_000, signal: NEVER });
  assert.equal(summary.withoutUrl, 30);
  assert.deepEqual(
    warnings.map((warning) => ({ ...warning, message: '' })),
    [{ message: '', count: 30, reason: 'no_url' }],
  );
  const [closed] = await queue.outbox.list({ state: 'dead', limit: 1 });
  assert.match(closed?.error ?? '', /^no_url: /);
  // The operator has thought better of it.
  assert.equal(await queue.outbox.redrive(), 30);
  const receiver = await startReceiver(t);
  const again = await makeDeliverer(queue, { operatorUrl: receiver.url }).drain({ withinMs: 600_000, signal: NEVER });
  assert.equal(again.delivered, 30);
});

test('a queue that cannot be written loses nothing: what was sent is sent again when its lease ends', async (t) => {
  const queue = await openQueue(t);
  await owe(queue, 1);
  let fails = true;
  const { outbox } = queue;
  const broken = outboxWith(queue, {
    record: async (...args) => {
      if (fails) throw new Error('no space');
      return outbox.record(...args);
    },
  });
  const receiver = await startReceiver(t, (response) => {
    if (receiver.received.length > 1) fails = false;
    response.end();
  });
  const deliverer = makeDeliverer(queue, { outbox: broken, operatorUrl: receiver.url, leaseMs: 300, timeoutMs: 100 });
  await deliverer.drain({ withinMs: 600_000, signal: NEVER });
  assert.equal(receiver.received.length, 2);
  assert.deepEqual(await queue.outbox.counts(), { pending: 0, dead: 0 });
});

test('slots: what is put off comes back one try later for each that is before it, and not at all where that is too late', () => {
  let nowMs = 0;
  const slots = new DeliverySlots({ total: 8, perHost: 2 }, () => nowMs);
  const lane = { host: 'slow.example', isOperators: false };
  const end = slots.begin(lane);
  slots.begin(lane);
  assert.deepEqual([slots.mayBegin(lane), slots.free, slots.msUntilSlow(lane)], [false, 6, 500]);
  nowMs = 10_000;
  assert.equal(slots.msUntilSlow(lane), 0);
  const reserve = (): number | undefined => slots.reserve(lane, { waiting: 2, withinMs: 30_000 });
  // Tries of 10 s, two at a time: 5 s for each that waits.
  assert.deepEqual(
    [reserve(), reserve(), reserve(), reserve(), reserve()],
    [15_000, 20_000, 25_000, 30_000, undefined],
  );
  end();
  end();
  assert.deepEqual([slots.mayBegin(lane), slots.free], [true, 7], 'a slot is given back once');
});

test('a drain sends what waited for its host, also when the tries before it end while the queue is asked for more', async (t) => {
  const queue = await openQueue(t);
  const receiver = await startReceiver(t);
  await owe(queue, 5);
  const { outbox } = queue;
  const slow = outboxWith(queue, {
    msUntilNextDue: async () => {
      // Long enough for the two that are under way.
      await sleep(300);
      return await outbox.msUntilNextDue();
    },
  });
  const summary = await makeDeliverer(queue, { operatorUrl: receiver.url, outbox: slow }).drain({
    withinMs: 30_000,
    signal: NEVER,
  });
  assert.equal(summary.delivered, 5);
  assert.equal(receiver.received.length, 5);
});

/** The real outbox, whose answer to the first claim takes a moment; `asked` resolves when the claim has taken effect. */
function slowToAnswer(queue: SqlitePromptQueue): {
  readonly outbox: DelivererOptions['outbox'];
  readonly asked: Promise<void>;
} {
  const { outbox } = queue;
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const slow = outboxWith(queue, {
    claimDue: async (options) => {
      const due = await outbox.claimDue(options);
      if (due.length > 0) {
        resolve();
        await sleep(300);
      }
      return due;
    },
  });
  return { outbox: slow, asked };
}

test('a webhook that is being taken when the worker begins its drain is sent by the drain', async (t) => {
  const queue = await openQueue(t);
  const receiver = await startReceiver(t);
  await owe(queue, 1);
  const { outbox, asked } = slowToAnswer(queue);
  const deliverer = makeDeliverer(queue, { operatorUrl: receiver.url, outbox });
  const running = new AbortController();
  const run = deliverer.run(running.signal);
  await asked;
  running.abort();
  await run;
  const summary = await deliverer.drain({ withinMs: 30_000, signal: NEVER });
  assert.equal(summary.delivered, 1);
  assert.equal(receiver.received.length, 1);
});

test('the end of a worker’s work does not cut the claim of a webhook, whose answer would be lost', async (t) => {
  const queue = await openQueue(t);
  const receiver = await startReceiver(t);
  await owe(queue, 1);
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  // As a database does: the claim is made, and nobody hears of it once the caller has given up.
  const outbox = outboxWith(queue, {
    claimDue: async (options) => {
      const due = await queue.outbox.claimDue(options);
      if (due.length > 0) resolve();
      await sleep(300, undefined, { signal: options.signal });
      return due;
    },
  });
  const deliverer = makeDeliverer(queue, { operatorUrl: receiver.url, outbox });
  const running = new AbortController();
  const run = deliverer.run(running.signal);
  await asked;
  running.abort();
  await run;
  assert.equal((await deliverer.drain({ withinMs: 30_000, signal: NEVER })).delivered, 1);
});

test('a webhook that is being taken when the worker stops is given back: the next one need not wait for the lease', async (t) => {
  const queue = await openQueue(t);
  const receiver = await startReceiver(t);
  await owe(queue, 1);
  const { outbox, asked } = slowToAnswer(queue);
  const deliverer = makeDeliverer(queue, { operatorUrl: receiver.url, outbox });
  const running = new AbortController();
  const run = deliverer.run(running.signal);
  await asked;
  running.abort();
  await deliverer.stop();
  await run;
  assert.equal(receiver.received.length, 0);
  assert.equal((await queue.outbox.claimDue({ limit: 9, leaseMs: 1000 })).length, 1);
});

test('each attempt is told with its outcome, and with the time since the job ended', async (t) => {
  const queue = await openQueue(t);
  const receiver = await startReceiver(t, (response, count) => response.writeHead(count === 1 ? 500 : 204).end());
  await owe(queue, 1);
  const told: { readonly outcome: string; readonly lagMs: number | undefined }[] = [];
  const deliverer = makeDeliverer(queue, {
    operatorUrl: receiver.url,
    pauseAfter: () => 300,
    onOutcome: (outcome, lagMs) => void told.push({ outcome, lagMs }),
  });
  await deliverer.drain({ withinMs: 30_000, signal: NEVER });
  assert.deepEqual(
    told.map(({ outcome }) => outcome),
    ['retry', 'delivered'],
  );
  const [first = -1, second = -1] = told.map(({ lagMs }) => lagMs);
  assert.ok(first >= 0 && second >= first + 250, `the second came 300 ms later: ${first}, ${second}`);
});
