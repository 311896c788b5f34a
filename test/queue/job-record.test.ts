/** What of a document's own state is believed: what the service would have written, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attemptsOf, hookOf, jobSummary, type JobSource } from '../../src/queue/job-record.ts';
import { packedBody, unpackedBody } from '../../src/queue/webhook-body.ts';
import { hostileJson } from './hostile-values.ts';

const NOTHING: JobSource = {
  id: 'a',
  status: 'pending',
  text: 'x',
  priority: undefined,
  seed: undefined,
  imageUrls: undefined,
  error: undefined,
  attempts: undefined,
  progress: { step: undefined, steps: undefined },
  owner: undefined,
  leaseUntil: undefined,
  awaitsRetry: undefined,
  lastError: undefined,
  parameters: undefined,
  warnings: undefined,
  enqueuedAt: undefined,
  finishedAt: undefined,
  request: {},
  startedAt: undefined,
  worker: undefined,
  model: undefined,
  tenant: undefined,
  door: undefined,
};

test('whatever lies in a document, its summary is bounded, can be printed as JSON, and has values of our types only', () => {
  const source = fc.record({
    id: fc.constant('a'),
    status: fc.oneof(fc.constantFrom('pending', 'processing', 'completed', 'error'), hostileJson),
    text: hostileJson,
    priority: hostileJson,
    seed: hostileJson,
    imageUrls: hostileJson,
    error: hostileJson,
    attempts: hostileJson,
    progress: fc.record({ step: hostileJson, steps: hostileJson }),
    owner: hostileJson,
    leaseUntil: fc.oneof(hostileJson, fc.date({ noInvalidDate: false })),
    awaitsRetry: hostileJson,
    lastError: hostileJson,
    parameters: hostileJson,
    warnings: hostileJson,
    enqueuedAt: fc.oneof(hostileJson, fc.date({ noInvalidDate: false })),
    finishedAt: fc.oneof(hostileJson, fc.date({ noInvalidDate: false })),
    request: fc.dictionary(fc.constantFrom('text', 'width', 'negative_prompt', 'callback_url', 'seed'), hostileJson),
    startedAt: fc.oneof(hostileJson, fc.date({ noInvalidDate: false })),
    worker: hostileJson,
    model: hostileJson,
    tenant: hostileJson,
    door: hostileJson,
  });
  fc.assert(
    fc.property(source, (given) => {
      const summary = jobSummary(given);
      assert.ok(JSON.stringify(summary).length < 500_000);
      assert.equal(typeof summary.status, 'string');
      assert.equal(typeof summary.text, 'string');
      assert.ok(Number.isFinite(summary.priority));
      assert.ok(Number.isSafeInteger(summary.attempts) && summary.attempts >= 0);
      for (const text of [
        summary.owner,
        summary.error,
        summary.lastError,
        ...(summary.imageUrls ?? []),
        ...(summary.warnings ?? []),
      ])
        assert.ok(text === undefined || (typeof text === 'string' && text.length <= 4096));
      for (const value of Object.values(summary.parameters ?? {}).flat())
        assert.match(typeof value, /^(?:string|number|boolean)$/);
      for (const date of [summary.leaseUntil, summary.enqueuedAt, summary.finishedAt]) date?.toISOString();
      const { progress } = summary;
      assert.ok(progress === undefined || (progress.step >= 0 && progress.step <= progress.steps));
    }),
    { numRuns: 2000 },
  );
});

test('parameters may be texts, numbers, switches and lists of these; other values are left out', () => {
  const parameters = { steps: 4, on: true, size: [1024, 768], mixed: [1, {}, 'a', null], model: 'm', deep: { a: 1 } };
  const { deep: _, ...kept } = parameters;
  assert.deepEqual(jobSummary({ ...NOTHING, parameters }).parameters, { ...kept, mixed: [1, 'a'] });
});

test('an error and a status that are no texts are shown as they are, quoted', () => {
  assert.equal(jobSummary({ ...NOTHING, status: ['pending'] }).status, '["pending"]');
  assert.equal(jobSummary({ ...NOTHING, status: 'error', error: { code: 7 } }).error, '{"code":7}');
  assert.equal(jobSummary({ ...NOTHING, error: null }).error, undefined);
});

test('what the last attempt ended with is told while the next one is waited for, and not when the job has ended', () => {
  const waiting = { ...NOTHING, status: 'processing', awaitsRetry: true, lastError: 'store_failed: no.' };
  assert.deepEqual([jobSummary(waiting).awaitsRetry, jobSummary(waiting).lastError], [true, 'store_failed: no.']);
  assert.equal(jobSummary({ ...waiting, status: 'completed' }).lastError, undefined);
});

test('attempts are whole numbers that we may have written, anything else is none', () => {
  for (const odd of [-1, 0.5, NaN, Infinity, '3', null, {}, 1e9, 2 ** 53]) assert.equal(attemptsOf(odd), 0);
  assert.equal(attemptsOf(4), 4);
});

test('whatever lies in a list of webhooks is read or left out, never thrown over', () => {
  fc.assert(
    fc.property(hostileJson, (value) => {
      const hook = hookOf(value);
      assert.ok(hook === undefined || (hook.id.length <= 200 && /^(?:pending|delivered|dead)$/.test(hook.state)));
    }),
    { numRuns: 2000 },
  );
  assert.equal(hookOf({ id: 'm', state: 'pending', url: 5 }), undefined);
  assert.equal(hookOf({ id: 'm', state: 'toString' }), undefined);
});

test('a long prompt lies once in a webhook of many pictures, and what is sent is the same text byte for byte', () => {
  const prompt = `"quoted" \\ ${'ä😀$'.repeat(100_000)}`;
  const body = JSON.stringify({
    results: Array.from({ length: 12 }, (_, n) => ({ prompt_id: 'a', prompt, image_url: `gs://b/${n}` })),
  });
  const stored = packedBody(body) as unknown as Record<string, unknown>;
  assert.ok(JSON.stringify(stored).length < body.length / 8);
  assert.equal(unpackedBody(stored), body);
  for (const other of [
    '',
    '{}',
    'no JSON',
    'x'.repeat(300_000),
    JSON.stringify({ results: [{ prompt: '' }], pad: 'y'.repeat(300_000) }),
  ])
    assert.equal(unpackedBody(packedBody(other) as unknown as Record<string, unknown>), other);
});

test('parts that would make a body of gigabytes are no body', () => {
  const stored = { body_parts: Array.from({ length: 100_000 }, () => ''), body_repeats: 'x'.repeat(100_000) };
  assert.equal(unpackedBody(stored), undefined);
  assert.equal(unpackedBody({ body_parts: ['a', 5], body_repeats: 'x' }), undefined);
});
