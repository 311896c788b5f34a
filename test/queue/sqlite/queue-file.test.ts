/** The file of the embedded queue in the hands of others: locked, damaged, removed, another program's, with rows that we would not have written. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rename, rm, stat, truncate, writeFile, symlink } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import type { UnclaimedPrompt } from '../../../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { hostileJson } from '../hostile-values.ts';

const OPTIONS = { leaseMs: 60_000, maxAttempts: 3, owner: 'w' };

async function makePath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-queue-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'data', 'queue.sqlite');
}

function open(t: TestContext, path: string, more: { readonly looksOnly?: boolean } = {}): SqlitePromptQueue {
  const queue = new SqlitePromptQueue({ path, ...OPTIONS, ...more });
  t.after(() => queue[Symbol.asyncDispose]());
  return queue;
}

function isDamaged(pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof Text2ImgError && error.code === 'queue_damaged' && pattern.test(error.message);
}

/** Another thread, as another process would, holds the write lock until the returned function is called. */
async function lock(t: TestContext, path: string): Promise<() => void> {
  const source = `const { DatabaseSync } = require('node:sqlite'); const { parentPort } = require('node:worker_threads');
    const db = new DatabaseSync(${JSON.stringify(path)}); db.exec('BEGIN IMMEDIATE'); parentPort.postMessage('held');
    parentPort.once('message', () => { db.exec('COMMIT'); db.close(); });`;
  const thread = new Worker(source, { eval: true });
  t.after(() => thread.terminate());
  await once(thread, 'message');
  return () => thread.postMessage('end');
}

test('while another process holds the file, statements wait without the event loop standing, and go on when it is free', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  await queue.enqueue([{ text: 'x' }]);
  const free = await lock(t, path);
  let turns = 0;
  const timer = setInterval(() => turns++, 5);
  t.after(() => clearInterval(timer));
  const claimed = queue.claim({ limit: 1 });
  await sleep(1000);
  assert.ok(turns > 10, `${turns} turns of the event loop while the file was locked`);
  assert.equal((await queue.counts()).pending, 1, 'looking needs no lock');
  free();
  assert.equal((await claimed).length, 1);
});

test('whoever waits for a locked file stops at the signal, and when the queue is closed', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  await queue.enqueue([{ text: 'x' }]);
  await lock(t, path);
  const signal = AbortSignal.timeout(100);
  await assert.rejects(queue.claim({ limit: 1, signal }), (error) => (error as Text2ImgError).code === 'queue_failed');
  const adding = queue.enqueue([{ text: 'y' }]);
  adding.catch(() => undefined);
  await sleep(50);
  await queue[Symbol.asyncDispose]();
  await assert.rejects(adding, (error) => (error as Text2ImgError).code === 'queue_failed');
});

test('a file that is removed, or replaced by another, is told at the next statement', async (t) => {
  for (const take of [
    (path: string) => rm(path),
    (path: string) => rename(path, `${path}.old`),
    async (path: string) => {
      await rename(path, `${path}.old`);
      await using other = new SqlitePromptQueue({ path, ...OPTIONS });
      await other.enqueue([{ text: 'new' }]);
    },
  ]) {
    const path = await makePath(t);
    const queue = open(t, path);
    await queue.enqueue([{ text: 'x' }]);
    await take(path);
    await assert.rejects(queue.isDrained(), isDamaged(/removed or replaced/));
    await assert.rejects(queue.outbox.claimDue({ limit: 1, leaseMs: 1000 }), isDamaged(/removed or replaced/));
  }
});

test('a file that was cut is damaged, at the start or at the first look into what is missing', async (t) => {
  const path = await makePath(t);
  {
    await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
    await queue.enqueue(Array.from({ length: 500 }, () => ({ text: 'x'.repeat(500) })));
  }
  await truncate(path, 40_000);
  const look = async (): Promise<unknown> => {
    await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
    return queue.list({ limit: 500 });
  };
  await assert.rejects(look, isDamaged(/damaged/));
});

test('a database of another program is named and left as it is', async (t) => {
  const path = await makePath(t);
  open(t, path);
  const other = join(path, '..', 'other.sqlite');
  const db = new DatabaseSync(other);
  db.exec('CREATE TABLE invoices (x)');
  db.close();
  assert.throws(() => open(t, other), isDamaged(/another program.*invoices/));
  assert.deepEqual(
    (await readdir(join(path, '..'))).filter((name) => name.startsWith('other')),
    ['other.sqlite'],
  );
  const half = join(path, '..', 'half.sqlite');
  const halfDb = new DatabaseSync(half);
  halfDb.exec('CREATE TABLE prompts (id TEXT); CREATE TABLE webhooks (id TEXT); PRAGMA user_version = 2');
  halfDb.close();
  assert.throws(() => open(t, half), isDamaged(/prompts has no column/));
  assert.throws(() => open(t, join(path, '..')), isDamaged(/is a folder/));
});

test('a queue of version 0.1.0 keeps its rows and its version, and what the last attempt ended with is kept from now on', async (t) => {
  const path = await makePath(t);
  {
    await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
    await queue.enqueue([{ _id: 'a', text: 'x' }]);
  }
  const db = new DatabaseSync(path);
  db.exec('ALTER TABLE prompts DROP COLUMN last_error; DROP INDEX webhooks_prompt; DROP INDEX webhooks_dead');
  db.close();
  const queue = open(t, path);
  const [claim] = await queue.claim({ limit: 1 });
  assert.ok(claim !== undefined);
  await queue.retryLater(claim, { delayMs: 60_000, failure: { code: 'store_failed', message: 'no answer.' } });
  const summary = await queue.show('a');
  assert.deepEqual([summary?.lastError, summary?.awaitsRetry], ['store_failed: no answer.', true]);
  const again = new DatabaseSync(path);
  assert.equal(again.prepare('PRAGMA user_version').get()?.['user_version'], 2);
  again.close();
});

test('the file and its side files are for their owner only, also through a link; a file that exists keeps its mode', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  await queue.enqueue([{ text: 'x' }]);
  for (const name of ['', '-wal', '-shm']) assert.equal((await stat(`${path}${name}`)).mode & 0o777, 0o600, name);
  assert.equal((await stat(join(path, '..'))).mode & 0o027, 0, 'nobody else writes to the folder');
  const link = join(path, '..', 'link.sqlite');
  await symlink('target.sqlite', link);
  open(t, link);
  assert.equal((await stat(join(path, '..', 'target.sqlite'))).mode & 0o777, 0o600);
  const kept = join(path, '..', 'kept.sqlite');
  await writeFile(kept, '', { mode: 0o640 });
  open(t, kept);
  assert.equal((await stat(kept)).mode & 0o777, 0o640);
});

test('a command that only looks makes no file, and finds nothing', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path, { looksOnly: true });
  assert.deepEqual(await queue.list({ limit: 5 }), []);
  assert.equal((await queue.counts()).pending, 0);
  assert.equal(await queue.cancel('a'), undefined);
  assert.deepEqual(await queue.outbox.counts(), { pending: 0, dead: 0 });
  await assert.rejects(stat(join(path, '..')));
});

test('rows whose document is no JSON object end as invalid_document, owe their webhook, and are listed with their text untouched', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  const db = new DatabaseSync(path);
  const documents = ['{', 'null', '5', '[]', '"x"', '', 'true', '{"text":', '\u0000'];
  for (const [index, document] of documents.entries())
    db.prepare("INSERT INTO prompts (id, id_kind, document, enqueued_ms) VALUES (?, 'string', ?, 0)").run(
      `odd${index}`,
      document,
    );
  await queue.enqueue([{ _id: 'good', text: 'x' }]);
  const ended: UnclaimedPrompt[] = [];
  const endings = {
    webhookFor: (prompt: UnclaimedPrompt) => ({ id: `msg_${prompt.runId}`, body: '{}' }),
    onEnded: (prompt: UnclaimedPrompt) => void ended.push(prompt),
  };
  const claims = await queue.claim({ limit: 2, endings });
  assert.deepEqual(
    claims.map(({ document }) => document),
    [{ text: 'x' }],
  );
  assert.equal(ended.length, documents.length);
  assert.equal((await queue.outbox.counts()).pending, documents.length);
  for (const [index, document] of documents.entries()) {
    const summary = await queue.show(`odd${index}`);
    assert.match(summary?.error ?? '', /^invalid_document: /);
    assert.equal(db.prepare('SELECT document FROM prompts WHERE id = ?').get(`odd${index}`)?.['document'], document);
  }
  assert.equal((await queue.list({ limit: 50 })).length, documents.length + 1);
  db.close();
});

test('a prompt whose attempts all died owes its webhook and is told', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  await queue.enqueue([{ _id: 'a', text: 'dead', callback_url: 'https://example.com' }]);
  const db = new DatabaseSync(path);
  db.exec("UPDATE prompts SET status = 'processing', attempts = 3, token = 't', run_id = 'odd', lease_until_ms = 1");
  db.close();
  const ended: UnclaimedPrompt[] = [];
  const endings = {
    webhookFor: () => ({ id: 'msg_1', body: '{}', url: 'https://example.com' }),
    onEnded: (prompt: UnclaimedPrompt) => void ended.push(prompt),
  };
  assert.equal(await queue.reap({ endings }), 1);
  const [one] = ended;
  assert.deepEqual(one?.document, { text: 'dead', callback_url: 'https://example.com' });
  assert.match(one?.runId ?? '', /^[0-9a-f]{32}$/, 'a run that is not ours by its name gets one');
  assert.deepEqual(
    (await queue.outbox.claimDue({ limit: 5, leaseMs: 1000 })).map(({ id }) => id),
    ['msg_1'],
  );
});

test('attempts, leases and runs that we would not have written are not believed; what nobody can claim is stuck', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  await queue.enqueue(['far', 'negative', 'huge', 'none'].map((_id) => ({ _id, text: 'x' })));
  const db = new DatabaseSync(path);
  db.exec(`UPDATE prompts SET status = 'processing', token = 't', run_id = 'my run', attempts = 1, lease_until_ms = 1;
    UPDATE prompts SET lease_until_ms = 253402300799000 WHERE id = 'far';
    UPDATE prompts SET attempts = -1000000 WHERE id = 'negative';
    UPDATE prompts SET attempts = 9223372036854775807, seed = 9223372036854775807 WHERE id = 'huge';
    UPDATE prompts SET lease_until_ms = NULL WHERE id = 'none'`);
  db.close();
  assert.equal(await queue.msUntilNextDue(), 0);
  assert.equal(await queue.reap(), 0);
  const claims = await queue.claim({ limit: 9 });
  assert.deepEqual(
    claims.map(({ attempt }) => attempt).toSorted((a, b) => a - b),
    [1, 1, 2],
  );
  for (const { runId } of claims) assert.match(runId, /^[0-9a-f]{32}$/);
  assert.deepEqual(await queue.counts(), { pending: 0, processing: 3, stuck: 1, completed: 0, error: 0 });
  assert.equal((await queue.stuck()).length, 1);
  assert.equal(await queue.retry('none'), false);
  assert.equal(await queue.retry('none', { force: true }), true);
  assert.equal((await queue.claim({ limit: 9 })).length, 1);
});

test('a model that another program writes is a text, and a foreign one is told once a worker lives', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  await queue.enqueue([{ _id: 'number', text: 'x' }]);
  const db = new DatabaseSync(path);
  assert.throws(() => db.exec(`UPDATE prompts SET model = x'00ff'`), /cannot store BLOB/);
  db.exec('UPDATE prompts SET model = 7');
  db.close();
  assert.deepEqual(await queue.stuck(), []);
  const told = ['number is for the model "7", which no living worker has'];
  assert.deepEqual(await queue.stuck({ named: ['a'], takesUnnamed: true }), told);
});

test('a look at an empty queue reads none of the finished prompts', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  const db = new DatabaseSync(path);
  const plan = (sql: string): string =>
    db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map(({ detail }) => String(detail))
      .join('; ');
  assert.match(plan("SELECT 1 FROM prompts WHERE status = 'pending' LIMIT 1"), /prompts_pending/);
  // A scan of 50,000 rows would take some thousand times as long as no row at all.
  const millis = async (): Promise<number> => {
    const begun = performance.now();
    for (let n = 0; n < 200; n++) await queue.isDrained();
    return performance.now() - begun;
  };
  const empty = await millis();
  db.exec(`WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50000)
    INSERT INTO prompts (id, id_kind, document, status, enqueued_ms) SELECT 'id' || x, 'string', '{"text":"x"}', 'completed', 1 FROM n`);
  db.close();
  assert.ok((await millis()) < 20 * empty + 100);
});

test('random rows never stop lists, claims and sweeps', async (t) => {
  const path = await makePath(t);
  const queue = open(t, path);
  const db = new DatabaseSync(path);
  const insert = db.prepare(
    'INSERT INTO prompts (id, id_kind, document, status, enqueued_ms, error, image_urls, parameters, warnings, owner, run_id, attempts, lease_until_ms, progress_step, progress_steps, seed, resume) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    hostileJson.map((value) => JSON.stringify(value)),
  );
  const whole = fc.oneof(
    fc.constantFrom(0n, 1n, -1n, 2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n),
    fc.bigInt({ min: 0n, max: 10n }),
  );
  const row = fc.record({
    kind: fc.oneof(fc.constantFrom('string', 'integer', 'object_id'), text),
    document: text,
    status: fc.oneof(fc.constantFrom('pending', 'processing', 'completed', 'error'), text),
    texts: fc.array(text, { minLength: 6, maxLength: 6 }),
    wholes: fc.array(whole, { minLength: 7, maxLength: 7 }),
  });
  let number = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 8 }), async (rows) => {
      for (const { kind, document, status, texts, wholes } of rows) {
        const [error, urls, parameters, warnings, owner, run] = texts as [
          string,
          string,
          string,
          string,
          string,
          string,
        ];
        const [enqueued, attempts, lease, step, steps, seed, resume] = wholes as [
          bigint,
          bigint,
          bigint,
          bigint,
          bigint,
          bigint,
          bigint,
        ];
        insert.run(
          `r${number++}`,
          kind,
          document,
          status,
          enqueued,
          error,
          urls,
          parameters,
          warnings,
          owner,
          run,
          attempts,
          lease,
          step,
          steps,
          seed,
          resume,
        );
      }
      for (const summary of await queue.list({ limit: 100 })) JSON.stringify(summary);
      await queue.counts();
      await queue.reap();
      for (const { runId, attempt, document } of await queue.claim({ limit: 100 })) {
        assert.match(runId, /^[0-9a-f]{32}$/);
        assert.ok(attempt >= 1 && Number.isSafeInteger(attempt));
        assert.equal(Object.getPrototypeOf(document), Object.prototype);
      }
      assert.equal((await queue.list({ status: 'pending', limit: 5 })).length, 0);
    }),
    { numRuns: 150 },
  );
  db.close();
});
