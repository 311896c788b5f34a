/** `jobs list` and `jobs show` as an operator types them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { startWebhookReceiver } from '../servers/webhook-receiver.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

const folder = temporaryFolder();

function place(): { environment: Record<string, string> } {
  return { environment: { TEXT2IMG_DATA_DIR: join(folder, randomBytes(4).toString('hex')), TMPDIR: folder } };
}

test('a job that failed shows what was asked, why, who tried and how long it took, also by the beginning of its id', async () => {
  const { environment } = place();
  const cli = async (args: readonly string[], stdin = '') => runCli({ args, stdin, environment });
  const added = await cli(
    ['enqueue', '-', '--max-pixels', '67108864'],
    '{"text":"a cat","width":4096,"height":8192,"priority":2}',
  );
  assert.equal(added.code, 0, added.stderr);
  const id = added.stdout.trim();
  const pending = await cli(['jobs', 'show', id]);
  assert.match(pending.stdout, /^ {2}width +4096$/m);
  assert.equal((await cli(['run'])).code, 0);
  const shown = await cli(['jobs', 'show', id.slice(0, 20)]);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, new RegExp(`^id +${id}$`, 'm'));
  for (const row of [
    /^ {2}width +4096$/m,
    /^worker +\S+:\d+$/m,
    /^claimed +2/m,
    /^took +\d/m,
    /^error +invalid_parameter/m,
  ])
    assert.match(shown.stdout, row);
  const json = JSON.parse((await cli(['jobs', 'show', id, '--json'])).stdout) as Record<string, unknown>;
  assert.deepEqual([json['request'], json['webhooks']], [{ width: 4096, height: 8192 }, []]);
  assert.ok(typeof json['took_ms'] === 'number' && typeof json['started_at'] === 'string');
  const list = await cli(['jobs', 'list']);
  assert.match(list.stdout, /^ID +STATUS +AGE +TRIED +TOOK +WORKER +PROMPT +RESULT\n.*error.*a cat +invalid_parameter/);
  assert.match(list.stderr, /0 pending, 0 processing, 0 completed, 1 in error/);
});

test('the beginning of several ids names them, at most ten, and retry and cancel want a whole id', async () => {
  const { environment } = place();
  const stdin = Array.from({ length: 12 }, (_, n) => JSON.stringify({ _id: `shop-${n}`, text: 'x' })).join('\n');
  assert.equal((await runCli({ args: ['enqueue', '-'], stdin, environment })).code, 0);
  const several = await runCli({ args: ['jobs', 'show', 'shop-1'], environment });
  assert.match(several.stdout, /^id +shop-1$/m, 'a whole id is meant before the beginning of others');
  const ambiguous = await runCli({ args: ['jobs', 'show', 'shop'], environment });
  assert.equal(ambiguous.code, 2);
  assert.match(ambiguous.stderr, /Several jobs begin with "shop": (?:shop-\d+, ){10}….*\[ambiguous_id\]/);
  for (const action of ['retry', 'cancel'])
    assert.match(
      (await runCli({ args: ['jobs', action, 'shop-'], environment })).stderr,
      /There is no job "shop-" in .*\. This command takes whole ids only\./,
    );
});

test('an empty queue says where it is', async () => {
  const { environment } = place();
  const { code, stdout, stderr } = await runCli({ args: ['jobs', 'list'], environment });
  assert.deepEqual([code, stdout], [0, '']);
  assert.ok(stderr.includes(`0 jobs in the embedded queue ${environment['TEXT2IMG_DATA_DIR']}`), stderr);
  const webhooks = await runCli({ args: ['webhooks', 'list'], environment });
  assert.ok(webhooks.stderr.startsWith('0 pending, 0 dead: 0 webhooks in the embedded queue '), webhooks.stderr);
  const after = await runCli({ args: ['jobs', 'list', '--after', 'zzz'], environment });
  assert.match(after.stderr, /The cursor "zzz".*\[invalid_cursor\]/, 'a wrong cursor is wrong in an empty queue, too');
});

test('after an outage the jobs that failed by it are retried at once, counted before', async () => {
  const { environment } = place();
  const cli = async (...args: readonly string[]) => runCli({ args: ['jobs', ...args], environment });
  {
    await using queue = queueIn(environment);
    await queue.enqueue(Array.from({ length: 3 }, () => ({ text: 'x' })));
    const codes = ['store_failed', 'store_failed', 'invalid_parameter'] as const;
    for (const [index, claimed] of (await queue.claim({ limit: 3 })).entries())
      await queue.fail(claimed, { code: codes[index] ?? 'internal', message: 'no.' });
  }
  const selection = ['retry', '--status', 'error', '--code', 'store_failed'];
  assert.equal((await cli(...selection, '--dry-run')).stdout, '2 jobs would be retried\n');
  assert.equal((await cli(...selection, '--older-than', '1h')).stdout, '0 jobs retried\n');
  assert.equal((await cli(...selection)).stdout, '2 jobs retried\n');
  assert.equal((await cli('retry', '--status=error', '--json')).stdout, '{"retried":1,"refused":0}\n');
  for (const [args, says] of [
    [[], /needs an id, or --status error.*\[conflicting_options\]/],
    [['7', '--status', 'error'], /takes either an id, or --status.*\[conflicting_options\]/],
    [['--status', 'pending'], /have not ended yet.*\[conflicting_options\]/],
    [['--dry-run'], /needs an id, or --status error/],
    [['--status', 'error', '--force'], /--force needs the id of one job/],
    [['--status', 'error', '--code', 'store_faild'], /store_failed.*\[invalid_option\]/],
    [['--status', 'error', '--older-than', '1 week'], /--older-than "1 week".*such as 1h.*\[invalid_option\]/],
  ] as const) {
    const { code, stderr } = await cli('retry', ...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
  }
});

test('a webhook that waits for its next attempt says when it is, and is sent now on demand', async () => {
  await using hook = await startWebhookReceiver((response) => void response.writeHead(200).end());
  const { environment } = place();
  const cli = async (...args: readonly string[]) =>
    runCli({
      args: ['webhooks', ...args],
      environment: { ...environment, ...(args[0] === 'deliver' ? { CALLBACK_URL: hook.url } : {}) },
    });
  let id = '';
  {
    await using queue = queueIn(environment);
    await queue.enqueue([{ text: 'x' }, { text: 'y' }]);
    for (const [index, claimed] of (await queue.claim({ limit: 2 })).entries())
      await queue.fail(claimed, { code: 'internal', message: 'no.' }, { id: `msg_${index}`, body: '{}' });
    for (const webhook of await queue.outbox.claimDue({ limit: 2, leaseMs: 60_000 })) {
      await queue.outbox.record(webhook, { kind: 'retry', delayMs: 300_000, error: 'HTTP 503' });
      id = webhook.promptId;
    }
  }
  assert.match(
    (await cli('list')).stdout,
    /^msg_1 {2}\w+ {2}pending, 1 attempt, next attempt in (?:4|5) min.*: HTTP 503$/m,
  );
  const shown = await runCli({ args: ['jobs', 'show', id], environment });
  assert.match(shown.stdout, /^webhook +msg_\d {2}pending, 1 attempt, next attempt in (?:4|5) min/m);
  assert.match(
    (await cli('deliver')).stdout,
    /^0 webhooks delivered, 0 attempts failed, 2 pending \(next attempt in (?:4|5) min.*\), 0 dead$/m,
  );
  assert.match((await cli('deliver', 'msg_1')).stderr, /with --now only.*\[conflicting_options\]/);
  assert.match((await cli('deliver', '--now', 'msg_7')).stderr, /no pending webhook "msg_7".*\[not_found\]/);
  assert.match((await cli('deliver', '--now', 'msg_1')).stdout, /^1 webhook delivered, .* 1 pending \(/);
  assert.match((await cli('deliver', '--now')).stdout, /^1 webhook delivered, 0 attempts failed, 0 pending, 0 dead$/m);
  assert.equal(hook.received.length, 2);
});

function queueIn(environment: Readonly<Record<string, string>>): SqlitePromptQueue {
  const path = join(environment['TEXT2IMG_DATA_DIR'] ?? '', 'queue.sqlite');
  return new SqlitePromptQueue({ path, leaseMs: 60_000, maxAttempts: 5, owner: 'test' });
}
