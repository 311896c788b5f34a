/** Batches and their memory, and the webhooks that finished prompts owe. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Logger, silentLogger } from '../../src/observability/logger.ts';
import { WebhookPolicy } from '../../src/webhook/webhook-policy.ts';
import { makePlace, show, work } from './place.ts';

test('a batch that is too large for the memory is halved within the attempt, and the next ones are not too large again', async (t) => {
  const place = await makePlace(t);
  const halvings: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    warning: (message, fields) => message.includes('halved') && halvings.push(fields?.['allowed']),
  };
  await place.queue.enqueue([
    ...Array.from({ length: 6 }, (_, index) => ({ _id: index, text: '[memory 1]' })),
    { _id: 'several', text: '[memory 1]', num_images: 3 },
  ]);
  const { summary } = await work(place, { logger });
  assert.deepEqual([summary.completed, summary.retried, summary.failed], [7, 0, 0]);
  assert.deepEqual(halvings, [2, 1]);
});

test('a single picture that is too large for the memory is tried again later, alone, and ends with its attempts', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([
    { _id: 'big', text: '[memory 0]' },
    { _id: 'small', text: 'x' },
  ]);
  const { summary } = await work(place, { maxAttempts: 2 });
  assert.deepEqual([summary.completed, summary.failed], [1, 1]);
  assert.match((await show(place, 'big')).error ?? '', /engine_out_of_memory/);
});

test('what finishes owes its webhook from that moment; what fails does where failures are wanted', async (t) => {
  const place = await makePlace(t);
  const webhooks = new WebhookPolicy({
    hasOperatorUrl: true,
    events: new Set(['completed', 'error'] as const),
    guard: { allowedHosts: new Set() },
    publicUrl: async (url) => url,
  });
  let owed = 0;
  await place.queue.enqueue([
    { _id: 'good', text: 'a fox', num_images: 2 },
    { _id: 'own', text: 'x', callback_url: 'https://example.com/x' },
    { _id: 'bad', text: 7 },
    { _id: 'hostile', text: 'x', callback_url: 'http://169.254.169.254/' },
  ]);
  await work(place, { webhooks, onWebhookOwed: () => owed++ });
  const due = await place.queue.outbox.claimDue({ limit: 9, leaseMs: 60_000 });
  const bodies = new Map(due.map(({ promptId, body, url }) => [promptId, { url, ...JSON.parse(body) }]));
  assert.equal(owed, 4);
  assert.deepEqual(
    bodies.get('good').results.map((one: { prompt: string }) => one.prompt),
    ['a fox', 'a fox'],
  );
  assert.equal(bodies.get('own').url, 'https://example.com/x');
  assert.match(bodies.get('bad').errors[0].error, /^invalid_prompt: /);
  assert.match(bodies.get('hostile').errors[0].error, /^invalid_parameter: "callback_url" is /);
  assert.equal(bodies.get('hostile').url, undefined, 'nobody is called there');
});
