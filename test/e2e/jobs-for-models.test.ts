/** `enqueue --model` and `jobs list --model`: jobs for one of several models, as an operator types them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

const folder = temporaryFolder();

function place() {
  const dataDir = join(folder, randomBytes(4).toString('hex'));
  const environment = { TEXT2IMG_DATA_DIR: dataDir, TMPDIR: folder };
  const cli = (args: readonly string[], stdin = '', more: Readonly<Record<string, string>> = {}) =>
    runCli({ args, stdin, environment: { ...environment, ...more } });
  return { cli, path: join(dataDir, 'queue.sqlite') };
}

type Json = Readonly<Record<string, unknown>>;

function linesOf(stdout: string): readonly Json[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Json);
}

test('a prompt is added for a model, and jobs are shown and listed by it', async () => {
  const { cli } = place();
  const added = await cli(['enqueue', '--prompt', 'a fox', '--model', 'photo']);
  assert.equal(added.code, 0, added.stderr);
  const plain = await cli(['enqueue', '--prompt', 'a cat'], '', { MODEL_ID: 'owner/of-the-worker' });
  assert.equal(plain.code, 0, plain.stderr);
  const shown = await cli(['jobs', 'show', added.stdout.trim()]);
  assert.match(shown.stdout, /^model +photo$/m);
  assert.doesNotMatch((await cli(['jobs', 'show', plain.stdout.trim()])).stdout, /^model /m);
  const all = await cli(['jobs', 'list']);
  assert.match(all.stdout, /^ID +STATUS .* MODEL +PROMPT.*\n.*a cat.*\n.* photo +a fox/);
  const own = await cli(['jobs', 'list', '--model', 'photo', '--json']);
  assert.deepEqual(
    linesOf(own.stdout).map(({ id, model }) => [id, model]),
    [[added.stdout.trim(), 'photo']],
  );
  assert.equal((await cli(['jobs', 'list', '--model', 'other'])).stdout, '');
});

test('lines of a file name their model in job.model, and --model is for the others', async () => {
  const { cli, path } = place();
  const lines = [
    { _id: 'a', text: 'x', job: { model: 'drawing' } },
    { _id: 'b', text: 'x', model: 'a field of the user' },
    { _id: 'c', text: 'x', job: { model: null } },
  ];
  const stdin = lines.map((line) => JSON.stringify(line)).join('\n');
  const added = await cli(['enqueue', '-', '--model', 'photo'], stdin);
  assert.equal(added.code, 0, added.stderr);
  await using queue = new SqlitePromptQueue({ path, leaseMs: 1000, maxAttempts: 1, owner: 'test' });
  const models = await Promise.all(['a', 'b', 'c'].map(async (id) => (await queue.show(id))?.model));
  assert.deepEqual(models, ['drawing', 'photo', 'photo']);
});

test('a model that is no name is refused with its line, and nothing is added', async () => {
  const { cli } = place();
  for (const model of [5, '', 'x'.repeat(201), { $gt: '' }]) {
    const stdin = `{"text": "x"}\n${JSON.stringify({ text: 'x', job: { model } })}`;
    const { code, stderr } = await cli(['enqueue', '-'], stdin);
    assert.equal(code, 3, JSON.stringify(model));
    assert.match(stderr, /Line 2 of standard input: "job\.model" is .*; it must be a name of at most 200 characters/);
  }
  assert.match((await cli(['enqueue', '--prompt', 'x', '--model', ''])).stderr, /: --model "" is not allowed/);
  assert.match((await cli(['jobs', 'list'])).stderr, /^0 pending/);
});

test('a model that no worker had lately is said, and the jobs wait', async () => {
  const { cli, path } = place();
  assert.equal((await cli(['enqueue', '--prompt', 'x'])).code, 0);
  {
    await using queue = new SqlitePromptQueue({ path, leaseMs: 1000, maxAttempts: 1, owner: 'test' });
    await queue.sideData.workers.beat({
      id: 'host:1',
      host: 'host',
      pid: 1,
      version: '1',
      device: 'cpu',
      models: ['photo'],
      takesUnnamed: true,
      images5min: 0,
      seconds5min: 0,
      at: new Date(),
    });
  }
  const known = await cli(['enqueue', '--prompt', 'x', '--model', 'photo']);
  assert.doesNotMatch(known.stderr, /no worker/);
  const unknown = await cli(['enqueue', '--prompt', 'x', '--model', 'foto']);
  assert.equal(unknown.code, 0);
  assert.match(unknown.stderr, /no worker of the last 24 hours had this model.*model=foto known=photo/);
});
