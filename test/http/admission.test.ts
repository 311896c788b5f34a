/** The time after which a refused request should come again: by the pace of the workers, over a real queue. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { Admission } from '../../src/http/front/admission.ts';
import { KnownWorkers } from '../../src/http/front/known-workers.ts';
import { measuredRetryAfter } from '../../src/http/front/retry-after.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';

const MOST_PENDING = 2;

interface Pace {
  readonly images5min: number;
  readonly seconds5min: number;
}

/** Workers of these paces, and a queue that takes two jobs. */
async function admissionOf(t: TestContext, paces: readonly Pace[]): Promise<Admission> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-admission-'));
  const queue = new SqlitePromptQueue({ path: join(folder, 'q.sqlite'), leaseMs: 60_000, maxAttempts: 5, owner: 'w' });
  for (const [index, pace] of paces.entries()) {
    const facts = { id: `w${index}`, host: 'h', pid: 1, version: '0', device: 'cpu', at: new Date() };
    await queue.sideData.workers.beat({ ...facts, ...pace, models: ['m'], takesUnnamed: true, sizes: [] });
  }
  const { sideData } = queue;
  const known = { workers: sideData.workers, canWrite: () => sideData.canWrite(), logger: silentLogger };
  const workers = await KnownWorkers.open(known);
  t.after(async () => {
    await workers[Symbol.asyncDispose]();
    await queue[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  return new Admission({ queue, workers, limits: { maxQueueLength: MOST_PENDING, maxOpenPerKey: undefined } });
}

/** Of a request for so many jobs. */
async function secondsUntil(admission: Admission, jobs: number): Promise<number | undefined> {
  const refusal = await admission.admit({ key: undefined }, jobs).catch((error: unknown) => error);
  assert.ok(refusal instanceof Text2ImgError);
  assert.equal(refusal.code, 'too_many_pending');
  return measuredRetryAfter(refusal);
}

test('a refused request comes again when the workers have done the jobs that do not fit', async (t) => {
  // Two seconds a job, whatever else they did in five minutes: the overhang is three jobs.
  const one = await admissionOf(t, [{ images5min: 5, seconds5min: 10 }]);
  assert.equal(await secondsUntil(one, MOST_PENDING + 3), 6);
  const two = await admissionOf(t, [
    { images5min: 5, seconds5min: 10 },
    { images5min: 15, seconds5min: 30 },
  ]);
  assert.equal(await secondsUntil(two, MOST_PENDING + 3), 3);
});

test('where no worker has done anything, nobody knows', async (t) => {
  assert.equal(await secondsUntil(await admissionOf(t, []), MOST_PENDING + 1), undefined);
  const idle = await admissionOf(t, [{ images5min: 0, seconds5min: 0 }]);
  assert.equal(await secondsUntil(idle, MOST_PENDING + 1), undefined);
});
