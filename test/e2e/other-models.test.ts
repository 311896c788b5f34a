/** Jobs for models that nobody here has, as `run` and `doctor` tell them; and a server's own worker, as its readiness check tells it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { SqlitePromptQueue } from '../../src/queue/sqlite/sqlite-prompt-queue.ts';
import { startServer } from '../http/server-process.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

function openQueue(folder: string): SqlitePromptQueue {
  return new SqlitePromptQueue({ path: join(folder, 'queue.sqlite'), leaseMs: 60_000, maxAttempts: 3, owner: 'test' });
}

test('a drain that finds jobs for other models only ends well, and says so', async () => {
  const folder = temporaryFolder();
  await using queue = openQueue(folder);
  await queue.enqueue([{ _id: 'one', text: 'x' }], { labels: { model: 'far-away' } });
  const { code, stderr } = await runCli({ args: ['run', '--data-dir', folder] });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /no job was pending for this model, 1 job is for others/);
  assert.doesNotMatch(stderr, /Add one/);
  assert.equal((await queue.show('one'))?.status, 'pending');
  const shown = await runCli({ args: ['jobs', 'show', 'one', '--data-dir', folder] });
  assert.match(shown.stdout, /^model +far-away$/m);
});

test('doctor names jobs whose model no living worker has, and none while no worker lives', async () => {
  const folder = temporaryFolder();
  await using queue = openQueue(folder);
  await queue.enqueue([{ _id: 'one', text: 'x' }], { labels: { model: 'far-away' } });
  const prompts = async () => {
    const { stdout } = await runCli({ args: ['doctor', '--json', '--data-dir', folder] });
    const { findings } = JSON.parse(stdout) as {
      findings: readonly { name: string; status: string; detail: string }[];
    };
    return findings.find(({ name }) => name === 'prompts');
  };
  assert.equal((await prompts())?.status, 'ok');
  const facts = { host: 'h', pid: 1, version: '0', device: 'cpu', images5min: 0, seconds5min: 0, at: new Date() };
  await queue.sideData.workers.beat({ ...facts, id: 'w', models: ['demo'], takesUnnamed: true });
  const found = await prompts();
  assert.equal(found?.status, 'problem');
  assert.match(found?.detail ?? '', /one is for the model "far-away", which no living worker has/);
});

test('a server counts its own worker as living as soon as that has generated', async (t) => {
  const server = await startServer(t, ['--data-dir', temporaryFolder(), '--compile-cache', 'off']);
  const body = JSON.stringify({ prompt: 'a red circle', steps: 1, size: '64x64' });
  const answer = await fetch(`${server.url}/v1/images/generations`, { method: 'POST', body });
  assert.equal(answer.status, 200, server.log());
  const ready = (await (await fetch(`${server.url}/readyz`)).json()) as { live_workers: unknown };
  assert.equal(ready.live_workers, 1);
});
