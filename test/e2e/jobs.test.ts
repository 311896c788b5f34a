/** `jobs list` and `jobs show` as an operator types them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
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
      /There is no job "shop-" in /,
    );
});

test('an empty queue says where it is', async () => {
  const { environment } = place();
  const { code, stdout, stderr } = await runCli({ args: ['jobs', 'list'], environment });
  assert.deepEqual([code, stdout], [0, '']);
  assert.ok(stderr.includes(`0 jobs in the embedded queue ${environment['TEXT2IMG_DATA_DIR']}`), stderr);
});
