/** The embedded queue: the contract, and what only a file has. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import type { PromptQueue } from '../../../src/queue/prompt-queue.ts';
import { SqlitePromptQueue } from '../../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { deadlineConformance } from '../deadline-conformance.ts';
import { enqueueConformance } from '../enqueue-conformance.ts';
import { listConformance } from '../list-conformance.ts';
import { modelConformance } from '../model-conformance.ts';
import { promptQueueConformance, type QueueFactory } from '../prompt-queue-conformance.ts';
import { serveConformance } from '../serve-conformance.ts';
import { sideDataConformance } from '../side-data-conformance.ts';
import { waitingConformance } from '../waiting-conformance.ts';
import { webhookOutboxConformance } from '../webhook-outbox-conformance.ts';

async function makePath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-queue-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'deep', 'queue.sqlite');
}

const create: QueueFactory = async (t) => {
  const path = await makePath(t);
  const opened: PromptQueue[] = [];
  t.after(() => Promise.all(opened.map((queue) => queue[Symbol.asyncDispose]())));
  return {
    open: async ({ leaseMs, maxAttempts = 5, owner = 'w' }) => {
      const queue = new SqlitePromptQueue({ path, leaseMs, maxAttempts, owner });
      opened.push(queue);
      return queue;
    },
  };
};
promptQueueConformance('SqlitePromptQueue', create);
webhookOutboxConformance('SqlitePromptQueue', create);
enqueueConformance('SqlitePromptQueue', create);
listConformance('SqlitePromptQueue', create);
waitingConformance('SqlitePromptQueue', create);
serveConformance('SqlitePromptQueue', create);
modelConformance('SqlitePromptQueue', create);
sideDataConformance('SqlitePromptQueue', create);
deadlineConformance('SqlitePromptQueue', create);

const OPTIONS = { leaseMs: 60_000, maxAttempts: 5, owner: 'w' };

test('the documents are there again when the file is opened again', async (t) => {
  const path = await makePath(t);
  {
    await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
    await queue.enqueue([{ text: 'kept' }]);
  }
  await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
  assert.equal((await queue.list({ limit: 5 }))[0]?.text, 'kept');
});

test('no program can put anything but text into a row’s labels', async (t) => {
  const path = await makePath(t);
  await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
  await queue.enqueue([{ _id: 'a', text: 'x' }], { labels: { model: 'm' } });
  using db = new DatabaseSync(path);
  for (const column of ['model', 'tenant', 'door']) {
    assert.throws(() => db.exec(`UPDATE prompts SET ${column} = x'0102'`), /cannot store BLOB/);
    db.exec(`UPDATE prompts SET ${column} = 7`);
  }
  const claims = await queue.claim({ limit: 1, models: { named: ['7'], takesUnnamed: false }, fair: true });
  assert.deepEqual(
    claims.map(({ model }) => model),
    ['7'],
  );
});

test('a file of a newer version is refused and left as it is', async (t) => {
  const path = await makePath(t);
  await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
  await queue.enqueue([{ text: 'x' }]);
  using raw = new DatabaseSync(path);
  raw.exec('PRAGMA user_version = 99');
  assert.throws(
    () => new SqlitePromptQueue({ path, ...OPTIONS }),
    (error) => error instanceof Text2ImgError && error.code === 'queue_damaged' && error.message.includes('version 99'),
  );
  assert.equal((await queue.counts()).pending, 1);
});

test('a file that is no database is refused with its path', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-queue-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'queue.sqlite');
  await writeFile(
    path,
    'this is not a database, it is a text of more than a hundred bytes, which SQLite looks at before it says so. '.repeat(
      20,
    ),
  );
  assert.throws(
    () => new SqlitePromptQueue({ path, ...OPTIONS }),
    (error) => error instanceof Text2ImgError && error.code === 'queue_damaged' && error.message.includes(path),
  );
});
