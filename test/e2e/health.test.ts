/** The heartbeat file that a worker touches, and the health check that looks at its age. */
import assert from 'node:assert/strict';
import { existsSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { silentLogger } from '../../src/observability/logger.ts';
import { HealthFile } from '../../src/observability/health-file.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

test('a worker that ran is healthy for a while, an old heartbeat and a missing one are not', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'heartbeat');
  const environment = { TEXT2IMG_HEARTBEAT_FILE: file, TEXT2IMG_DATA_DIR: folder };
  const missing = await runCli({ args: ['health'], environment });
  assert.equal(missing.code, 5);
  assert.match(missing.stderr, /no worker has started.*\[worker_unhealthy\]/);
  await runCli({
    args: ['enqueue', '--prompt', 'a red circle', '--width', '64', '--height', '64', '--num-inference-steps', '2'],
    environment,
  });
  assert.equal((await runCli({ args: ['run'], environment })).code, 0);
  assert.equal((await runCli({ args: ['health'], environment })).code, 0);
  utimesSync(file, new Date(), new Date(Date.now() - 200_000));
  const old = await runCli({ args: ['health'], environment });
  assert.match(old.stderr, /20\d s old; allowed are 120 s.*\[worker_unhealthy\]/);
  assert.equal((await runCli({ args: ['health', '--max-age', '300'], environment })).code, 0);
  assert.equal((await runCli({ args: ['health'] })).code, 2);
});

test('in a container the embedded mode has to be asked for', async () => {
  const folder = temporaryFolder();
  const environment = { TEXT2IMG_CONTAINER: '1', TEXT2IMG_DATA_DIR: join(folder, 'data') };
  const refused = await runCli({ args: [], environment });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /--embedded.*\[conflicting_options\]/);
  assert.ok(!existsSync(join(folder, 'data')));
  assert.equal((await runCli({ args: ['--embedded'], environment })).code, 0);
});

test('the file is touched by the loop only, seldom, and one that cannot be written is no reason to stop', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'heartbeat');
  const heartbeat = new HealthFile(file, silentLogger);
  heartbeat.touch();
  await sleep(50);
  const mtimeMs = 1_700_000_000_000;
  writeFileSync(file, 'mine');
  utimesSync(file, new Date(mtimeMs), new Date(mtimeMs));
  heartbeat.touch();
  await sleep(50);
  assert.equal(statSync(file).mtimeMs, mtimeMs, 'not again within seconds');
  const warnings: string[] = [];
  const unwritable = new HealthFile(join(folder, 'no', 'such', 'folder'), {
    ...silentLogger,
    warning: (message) => warnings.push(message),
  });
  unwritable.touch();
  await sleep(50);
  assert.equal(warnings.length, 1);
  new HealthFile(undefined, silentLogger).touch();
});

test('a heartbeat from the future or a folder in its place says nothing about a worker, and a worker refuses the folder', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'heartbeat');
  const at = (seconds: number): void => {
    writeFileSync(file, '');
    const time = new Date(Date.now() + seconds * 1000);
    utimesSync(file, time, time);
  };
  const health = async (path: string) => runCli({ args: ['health', '--heartbeat-file', path, '--max-age', '1000'] });
  // A clock that was put back: by a minute, by an hour, by a year.
  for (const seconds of [60, 3600, 31_536_000]) {
    at(seconds);
    const ahead = await health(file);
    assert.equal(ahead.code, 5);
    assert.match(ahead.stderr, /in the future.*\[worker_unhealthy\]/);
  }
  at(1);
  assert.equal((await health(file)).code, 0, 'clocks differ by a second');
  const onFolder = await health(folder);
  assert.equal(onFolder.code, 5);
  assert.match(onFolder.stderr, /no plain file.*\[worker_unhealthy\]/);
  assert.throws(() => new HealthFile(folder, silentLogger), { code: 'invalid_option', message: /is a folder/ });
  assert.throws(() => new HealthFile('/dev/null', silentLogger), {
    code: 'invalid_option',
    message: /no plain file/,
  });
});

test('what keeps a worker from claiming is told and is no reason to restart it, but five minutes without an engine are', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'heartbeat');
  const heartbeat = new HealthFile(file, silentLogger);
  const health = async (source: string, secondsAgo: number) => {
    const since = new Date(Date.now() - secondsAgo * 1000);
    heartbeat.touch({ source, code: 'store_failed', message: `the ${source} refuses.\u001b[2J ${secondsAgo}`, since });
    await sleep(50);
    const result = await runCli({ args: ['health', '--heartbeat-file', file] });
    return { ...result, since: since.toISOString() };
  };
  const store = await health('store', 4000);
  assert.equal(store.code, 0);
  assert.ok(store.stdout.includes(`nothing is claimed since ${store.since}: the store refuses.\\u001b`), store.stdout);
  const young = await health('engine', 200);
  assert.equal(young.code, 0);
  const old = await health('engine', 400);
  assert.equal(old.code, 5);
  assert.match(old.stderr, /no engine since .*allowed are 300 s: the engine refuses.*\[worker_unhealthy\]/);
  heartbeat.touch();
  await sleep(50);
  assert.match((await runCli({ args: ['health', '--heartbeat-file', file] })).stdout, /^healthy, \d+ s ago$/m);
});
