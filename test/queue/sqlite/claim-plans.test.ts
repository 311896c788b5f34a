/** Each read of a claim enters an index at its place and stops there, however many rows are pending. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { CLAIM_READS } from '../../../src/queue/sqlite/claim-order.ts';
import { FIRST_TIME } from '../../../src/queue/sqlite/end-overdue.ts';
import { SqlitePromptQueue } from '../../../src/queue/sqlite/sqlite-prompt-queue.ts';

const READS = { ...CLAIM_READS, FIRST_TIME };

const PLANS = {
  HEAD: /^SEARCH prompts USING (?:COVERING )?INDEX prompts_pending_models \(model=\?\)$/,
  TENANT_HEAD: /^SEARCH prompts USING (?:COVERING )?INDEX prompts_pending_turns \(model=\? AND tenant=\?\)$/,
  NEXT_TENANT: /^SEARCH prompts USING COVERING INDEX prompts_pending_turns \(model=\? AND tenant>\?\)$/,
  FIRST_TENANT: /^SEARCH prompts USING COVERING INDEX prompts_pending_turns \(model=\?\)$/,
  // The index holds nothing but open jobs with a time.
  FIRST_TIME: /^(?:SEARCH|SCAN) prompts USING (?:COVERING )?INDEX prompts_deadlines\b/,
} as const satisfies Record<keyof typeof READS, RegExp>;

test('no read of a claim by model or by turns, and none for jobs whose time is over, scans or sorts', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-queue-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'queue.sqlite');
  await using queue = new SqlitePromptQueue({ path, leaseMs: 60_000, maxAttempts: 5, owner: 'w' });
  await queue.enqueue([{ text: 'x' }], { labels: { model: 'a', tenant: 'b' } });
  using db = new DatabaseSync(path);
  for (const [name, sql] of Object.entries(READS)) {
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
    const lines = plan
      .map(({ detail }) => String(detail))
      .filter((line) => !/json_each|LIST SUBQUERY|BLOOM/.test(line));
    assert.equal(lines.length, 1, `${name}: ${lines.join('; ')}`);
    assert.match(lines[0] ?? '', PLANS[name as keyof typeof PLANS], name);
  }
});
