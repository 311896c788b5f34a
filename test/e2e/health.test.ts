/** The health file that a worker renews, and the health check that looks at its age. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { createLogger, silentLogger } from '../../src/observability/logger.ts';
import { HealthFile } from '../../src/observability/health-file.ts';
import { thisWorker } from '../../src/observability/health-worker.ts';
import { cleanEnvironment, launcher, runCli, temporaryFolder } from './run-cli.ts';

test('a young health file is healthy, an old one and a missing one are not, and a worker that stops removes its own', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'heartbeat');
  const environment = { TEXT2IMG_HEARTBEAT_FILE: file, TEXT2IMG_DATA_DIR: folder, TMPDIR: folder };
  const missing = await runCli({ args: ['health'], environment });
  assert.equal(missing.code, 5);
  assert.match(missing.stderr, /no worker has started.*\[worker_unhealthy\]/);
  await runCli({
    args: ['enqueue', '--prompt', 'a red circle', '--width', '64', '--height', '64', '--num-inference-steps', '2'],
    environment,
  });
  assert.equal((await runCli({ args: ['run'], environment })).code, 0);
  assert.ok(!existsSync(file), 'it stopped');
  // Of a version that wrote no process, or of another program.
  writeFileSync(file, '');
  assert.equal((await runCli({ args: ['health'], environment })).code, 0);
  utimesSync(file, new Date(), new Date(Date.now() - 200_000));
  const old = await runCli({ args: ['health'], environment });
  assert.match(old.stderr, /20\d s old; allowed are 120 s.*\[worker_unhealthy\]/);
  assert.equal((await runCli({ args: ['health', '--max-age', '300'], environment })).code, 0);
});

test('without a file health looks at all workers: one alone is told by its process, one that was killed is stale', async () => {
  const folder = temporaryFolder();
  const environment = { TMPDIR: folder, TEXT2IMG_DATA_DIR: join(folder, 'data') };
  const health = async (...more: readonly string[]) => runCli({ args: ['health', ...more], environment });
  const none = await health();
  assert.equal(none.code, 5);
  assert.match(none.stderr, /No worker runs: there is no health file in .*\[worker_unhealthy\]/);
  assert.deepEqual(readdirSync(folder), [], 'looking makes nothing');
  const start = () => spawn(process.execPath, [launcher, 'run', '--watch'], { env: cleanEnvironment(environment) });
  const files = (): string[] => readdirSync(healthFolder, { encoding: 'utf8' });
  const healthFolder = join(folder, `text2img-health-${process.getuid?.() ?? 'user'}`);
  const states = (): unknown[] =>
    existsSync(healthFolder)
      ? files().map((name) => /"state":"(\w+)"/.exec(readFileSync(join(healthFolder, name), 'utf8'))?.[1])
      : [];
  const first = start();
  while (!states().includes('running')) await sleep(100);
  const one = await health('--json');
  assert.equal(one.code, 0, one.stderr);
  type Report = { workers: { pid: number; state: string; age_seconds: number }[]; stale: { pid: number }[] };
  const [worker] = (JSON.parse(one.stdout) as Report).workers;
  assert.equal(worker?.state, 'running');
  assert.deepEqual(files(), [`worker-${worker.pid}.json`]);
  // It has no time to remove it.
  process.kill(worker.pid, 'SIGKILL');
  await ended(first);
  const killed = await health();
  assert.equal(killed.code, 5);
  assert.match(killed.stderr, new RegExp(`is stale: its worker, process ${worker.pid}, has ended`));
  const second = start();
  while (files().length < 2 || !states().every((state) => state === 'running')) await sleep(100);
  const both = await health();
  assert.equal(both.code, 0, both.stderr);
  assert.match(both.stdout, /^worker \d+ \(running\): healthy, \d+ s ago\nthe health file .* is stale: .*\n$/);
  second.kill('SIGTERM');
  await ended(second);
  assert.deepEqual(files(), [`worker-${worker.pid}.json`], 'a worker removes only its own');
});

test('a worker that starts removes the default health files that are older than a day and whose processes ended here, and no other', async () => {
  const folder = temporaryFolder();
  const healthFolder = join(folder, `text2img-health-${process.getuid?.() ?? 'user'}`);
  mkdirSync(healthFolder, { mode: 0o700 });
  // No system has a process of this number.
  const gone = { ...thisWorker(), pid: 999_999_999 };
  const [hourMs, dayMs] = [3_600_000, 86_400_000];
  const files: readonly (readonly [name: string, content: string, ageMs: number, isKept: boolean])[] = [
    ['worker-1.json', JSON.stringify(gone), 2 * dayMs, false],
    ['worker-2.json', JSON.stringify(gone), dayMs - hourMs, true],
    ['worker-3.json', JSON.stringify({ ...gone, host: 'elsewhere' }), 2 * dayMs, true],
    ['worker-4.json', JSON.stringify(thisWorker()), 2 * dayMs, true],
    ['worker-5.json', 'nothing that can be read', 2 * dayMs, true],
    ['notes.json', JSON.stringify(gone), 2 * dayMs, true],
  ];
  for (const [name, content, ageMs] of files) {
    writeFileSync(join(healthFolder, name), content);
    const at = new Date(Date.now() - ageMs);
    utimesSync(join(healthFolder, name), at, at);
  }
  const environment = { TMPDIR: folder, TEXT2IMG_DATA_DIR: join(folder, 'data') };
  const looked = await runCli({ args: ['health'], environment });
  assert.equal(looked.code, 5);
  assert.equal(readdirSync(healthFolder).length, files.length, 'looking removes nothing');
  const { code, stderr } = await runCli({ args: ['run'], environment });
  assert.equal(code, 0, stderr);
  const kept = files.filter(([, , , isKept]) => isKept).map(([name]) => name);
  assert.deepEqual(readdirSync(healthFolder).toSorted(), kept.toSorted());
});

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
}

test('a file whose process cannot be looked at from here goes by its age, and one of this process that is gone is stale at once', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'heartbeat');
  const gone = { ...thisWorker(), pid: 2 ** 30 };
  const healthOf = async (content: unknown) => {
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return runCli({ args: ['health', '--heartbeat-file', file] });
  };
  const stale = await healthOf(gone);
  assert.equal(stale.code, 5);
  assert.match(stale.stderr, /is stale: its worker, process 1073741824, has ended\..*\[worker_unhealthy\]/);
  for (const other of [
    { ...gone, host: `${hostname()}-other` },
    // Two containers of one pod share their host's name.
    { ...gone, pid_namespace: 'pid:[1]' },
    { ...gone, pid: -1 },
    { ...gone, pid: 'all' },
    { pid: gone.pid },
    '{"pid":10737',
  ])
    assert.equal((await healthOf(other)).code, 0, JSON.stringify(other));
});

test('a worker that starts anew under the same process number takes the file over, and removes no other’s', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'heartbeat');
  writeFileSync(file, JSON.stringify({ ...thisWorker(), pid_namespace: 'pid:[1]' }));
  {
    await using left = new HealthFile(file, silentLogger);
    assert.ok(left);
  }
  assert.ok(existsSync(file), 'a container that was there before wrote it');
  {
    await using taken = new HealthFile(file, silentLogger);
    taken.starting();
    taken.touch();
  }
  assert.ok(!existsSync(file));
  await using mine = new HealthFile(file, silentLogger);
  mine.touch();
  await sleep(50);
  const other = JSON.stringify({ ...thisWorker(), pid: process.ppid });
  writeFileSync(file, other);
  await mine[Symbol.asyncDispose]();
  mine.touch();
  await sleep(50);
  assert.equal(readFileSync(file, 'utf8'), other);
});

test('a folder of health files that others may write is not believed', async () => {
  const folder = temporaryFolder();
  const shared = join(folder, `text2img-health-${process.getuid?.() ?? 'user'}`);
  mkdirSync(shared);
  writeFileSync(join(shared, 'worker-1.json'), '');
  const health = async () => runCli({ args: ['health'], environment: { TMPDIR: folder } });
  assert.equal((await health()).code, 0);
  chmodSync(shared, 0o777);
  assert.match((await health()).stderr, /No worker runs/);
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
  const lines: string[] = [];
  let nowMs = 0;
  using logger = createLogger({ level: 'INFO', now: () => new Date(nowMs), writeLine: (line) => lines.push(line) });
  const unwritable = new HealthFile(join(folder, 'no', 'such', 'folder'), logger);
  for (const atMs of [0, 1000, 59_000, 61_000]) {
    nowMs = atMs;
    // Each is another state, so that each is written at once.
    unwritable.touch({ source: 'queue', code: 'queue_failed', message: `since ${atMs}`, since: new Date(0) });
    await sleep(50);
  }
  assert.equal(lines.length, 2, lines.join('\n'));
  assert.match(lines[0] ?? '', /WARNING the health file cannot be written {2}file=.* reason="ENOENT/);
  assert.match(lines[1] ?? '', /left_out=2/);
  new HealthFile(undefined, silentLogger).touch();
});

test('a health file from the future or a folder in its place says nothing about a worker, and a worker refuses the folder', async () => {
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

test('of several engines the one that cannot be used is named, and the worker that goes on with the others is healthy', async () => {
  const file = join(temporaryFolder(), 'heartbeat');
  await using heartbeat = new HealthFile(file, silentLogger);
  let problem: string | null = null;
  heartbeat.listEngines(() => [
    { engine: 'engine 1', device: 'cuda:0', problem: null },
    { engine: 'engine 2', device: 'cuda:1', problem },
  ]);
  const health = async (...args: string[]) => {
    heartbeat.touch();
    await sleep(50);
    return await runCli({ args: ['health', '--heartbeat-file', file, ...args] });
  };
  assert.match((await health()).stdout, /^healthy, \d+ s ago$/m);
  problem = 'the engine process was ended by SIGKILL.\u001b[2J';
  const { code, stdout } = await health();
  assert.equal(code, 0);
  assert.match(stdout, /^healthy, \d+ s ago; engine 2 \(cuda:1\) cannot be used: .*SIGKILL\.\\u001b\[2J$/m);
  assert.deepEqual(JSON.parse((await health('--json')).stdout).engines, [
    { engine: 'engine 1', device: 'cuda:0', problem: null },
    { engine: 'engine 2', device: 'cuda:1', problem },
  ]);
});
