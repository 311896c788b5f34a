/** Side data in the embedded queue's file: what is too old, and a file of an older version. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { SqlitePromptQueue } from '../../../src/queue/sqlite/sqlite-prompt-queue.ts';

const OPTIONS = { leaseMs: 60_000, maxAttempts: 5, owner: 'w' };
const REQUEST = { id: 'k', bodyHash: 'h', promptIds: ['p'] };
const ORPHAN = { key: 'k', promptId: 'p', door: 'd', isReleased: true };
const PREVIEW = { promptId: 'p', token: 't', png: new Uint8Array([1]), step: 1, steps: 2 };
const TABLES = ['text2img_requests', 'text2img_previews', 'text2img_watch', 'text2img_workers'] as const;

async function makePath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-queue-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'queue.sqlite');
}

test('what is too old is not found, and is removed at the first write of a process', async (t) => {
  const path = await makePath(t);
  await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
  const { sideData } = queue;
  await sideData.requests.begin(REQUEST);
  await sideData.orphans.offer(ORPHAN);
  await sideData.watches.mark([{ promptId: 'p', wantsPreviews: false }]);
  await sideData.previews.put(PREVIEW);
  await sideData.settings.set('kept', 1);
  using db = new DatabaseSync(path);
  for (const table of TABLES) db.exec(`UPDATE ${table} SET until_ms = 1 WHERE until_ms IS NOT NULL`);
  assert.equal(await sideData.orphans.take('k'), undefined);
  assert.equal(await sideData.watches.msLeft('p'), 0);
  assert.equal(await sideData.previews.get('p'), undefined);
  const again = await sideData.requests.begin({ ...REQUEST, bodyHash: 'h2' });
  assert.deepEqual([again.isNew, again.bodyHash], [true, 'h2']);
  const rows = (): number => Number(db.prepare('SELECT count(*) AS count FROM text2img_requests').get()?.['count']);
  assert.equal(rows(), 3);
  {
    await using next = new SqlitePromptQueue({ path, ...OPTIONS });
    await next.sideData.requests.begin({ ...REQUEST, id: 'k2' });
  }
  assert.equal(rows(), 3, 'the orphan has gone, the record has come');
  assert.equal(await sideData.settings.get('kept'), 1);
});

test('a file without the tables, columns and indexes of servers gets them, keeps its rows, and stays of version 2', async (t) => {
  const path = await makePath(t);
  {
    await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
    await queue.enqueue([{ _id: 'a', text: 'x' }]);
  }
  {
    using db = new DatabaseSync(path);
    const indexes = db
      .prepare(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND (sql LIKE '%tenant%' OR sql LIKE '%model,%' OR sql LIKE '%cancel_at%')",
      )
      .all();
    for (const { name } of indexes) db.exec(`DROP INDEX ${String(name)}`);
    for (const table of TABLES) db.exec(`DROP TABLE ${table}`);
    for (const column of ['model', 'tenant', 'door', 'enqueue_id', 'cancel_at_ms'])
      db.exec(`ALTER TABLE prompts DROP COLUMN ${column}`);
  }
  await using queue = new SqlitePromptQueue({ path, ...OPTIONS });
  await queue.enqueue([{ _id: 'b', text: 'y' }], { labels: { model: 'm', tenant: 't' } });
  const claims = await queue.claim({ limit: 5, models: { named: ['m'], takesUnnamed: true }, fair: true });
  assert.deepEqual(new Set(claims.map(({ model }) => model)), new Set([undefined, 'm']));
  assert.equal((await queue.sideData.requests.begin(REQUEST)).isNew, true);
  await queue.enqueue([{ _id: 'c', text: 'z' }], { cancelAfterMs: 60_000 });
  assert.ok(((await queue.endOverdue()).nextMs ?? 0) > 0);
  using db = new DatabaseSync(path);
  assert.equal(db.prepare('PRAGMA user_version').get()?.['user_version'], 2);
});
