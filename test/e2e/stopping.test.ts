/** The real command is told to stop in each stage: it ends with 0 soon after its grace period, and a prompt that it held is pending again. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { cleanEnvironment, launcher, runCli, temporaryFolder } from './run-cli.ts';

/** A stop takes 5.5 s at most here. */
const ENDS = { timeout: 110_000 };

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  /** Resolves when the output has it. */
  readonly says: (pattern: RegExp) => Promise<void>;
}

function start(t: TestContext, args: readonly string[], environment: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [launcher, 'run', ...args], { env: cleanEnvironment(environment) });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const says = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(output)) {
      assert.equal(child.exitCode, null, output);
      await sleep(20);
    }
  };
  return { child, ended, says };
}

/** The children of a process. Linux only. */
function childrenOf(pid: number): number[] {
  const parentOf = (name: string): number => {
    try {
      return Number(
        readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[1],
      );
    } catch {
      return 0;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
}

/** What was killed stays in the table until somebody asks how it ended. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function placeWithLongPrompt(): Promise<Readonly<Record<string, string>>> {
  const environment = { TEXT2IMG_DATA_DIR: temporaryFolder() };
  const size = ['--width', '256', '--height', '256', '--num-inference-steps', '1000'];
  await runCli({ args: ['enqueue', '--prompt', 'x', ...size], environment });
  return environment;
}

async function pending(environment: Readonly<Record<string, string>>): Promise<string> {
  return (await runCli({ args: ['jobs', 'list'], environment })).stderr;
}

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
  test(`${signal} while a prompt is drawn gives it back`, ENDS, async (t) => {
    const environment = await placeWithLongPrompt();
    const run = start(t, ['--watch', '--grace-period', '0.2'], environment);
    await run.says(/step \d+ of 1000/);
    run.child.kill(signal);
    assert.equal(await run.ended, 0);
    assert.match(await pending(environment), /1 pending, 0 processing/);
  });
}

const skip = process.platform === 'linux' ? {} : { skip: 'NOT TESTED: needs /proc to find the engine process' };

for (const stage of ['the model is loaded', 'a prompt is drawn'] as const) {
  test(`SIGTERM while the engine hangs, as ${stage}`, { ...ENDS, ...skip }, async (t) => {
    const environment = await placeWithLongPrompt();
    const run = start(t, ['--watch', '--grace-period', '0.2'], environment);
    await run.says(stage === 'a prompt is drawn' ? /step \d+ of 1000/ : /loading the model/);
    let engines: number[] = [];
    while (engines.length === 0) {
      engines = childrenOf(run.child.pid ?? 0);
      await sleep(5);
    }
    for (const pid of engines) process.kill(pid, 'SIGSTOP');
    run.child.kill('SIGTERM');
    assert.equal(await run.ended, 0);
    assert.match(await pending(environment), /1 pending, 0 processing/);
    // The engine is gone too, as soon as the system has put it away.
    for (const pid of engines) while (isAlive(pid)) await sleep(20);
  });
}

test('SIGTERM at the start, while a database does not answer', ENDS, async (t) => {
  const silent = createServer((socket) => void socket.on('error', () => undefined));
  const connected = new Promise<void>((resolve) => void silent.once('connection', () => resolve()));
  await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
  t.after(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const run = start(t, ['--watch', '--model', 'models/demo', '--grace-period', '60'], {
    MONGO_URI: `mongodb://127.0.0.1:${port}/db`,
    GCS_BUCKET: 'images',
    STORAGE_EMULATOR_HOST: `http://127.0.0.1:${port}`,
  });
  await connected;
  run.child.kill('SIGTERM');
  assert.equal(await run.ended, 0);
});
