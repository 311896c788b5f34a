/** `run --engines 2` with real engines of one thread each, on the demo checkpoint. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cleanEnvironment, launcher, root, runCli, temporaryFolder } from './run-cli.ts';

const demo = join(root, 'models', 'demo');
const skip =
  process.platform !== 'linux'
    ? { skip: 'NOT TESTED: needs /proc to find the engine processes' }
    : availableParallelism() < 2
      ? { skip: 'NOT TESTED: two engines need two cores' }
      : {};
const SIZE = { width: 64, height: 64 };

interface LogLine extends Readonly<Record<string, unknown>> {
  readonly message: string;
}

interface Given {
  readonly dataDir: string;
  readonly args: readonly string[];
  /** Called with each line of the log. */
  readonly onLine?: (line: LogLine, pid: number) => void;
}

interface Ran {
  readonly code: number | null;
  /** The paths of the images, as standard output names them. */
  readonly paths: readonly string[];
  readonly lines: readonly LogLine[];
}

async function run({ dataDir, args, onLine }: Given): Promise<Ran> {
  const all = [launcher, 'run', '--model', demo, '--data-dir', dataDir, '--log-format', 'json', ...args];
  const child = spawn(process.execPath, all, { env: cleanEnvironment() });
  const lines: LogLine[] = [];
  let [stdout, rest] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk: Buffer) => {
    const whole = `${rest}${String(chunk)}`.split('\n');
    rest = whole.pop() ?? '';
    for (const text of whole) {
      const line = JSON.parse(text) as LogLine;
      lines.push(line);
      onLine?.(line, child.pid ?? 0);
    }
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const paths = stdout
    .split(/\s+/)
    .filter((word) => word.startsWith('file://'))
    .map((url) => fileURLToPath(url));
  return { code, paths, lines };
}

async function enqueue(dataDir: string, prompts: readonly object[]): Promise<void> {
  const stdin = prompts.map((prompt) => JSON.stringify({ ...SIZE, ...prompt })).join('\n');
  const { code, stderr } = await runCli({ args: ['enqueue', '-', '--data-dir', dataDir], stdin });
  assert.equal(code, 0, stderr);
}

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}

function cpusOf(pid: number): string {
  return /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
}

const messages = ({ lines }: Ran, message: string): readonly LogLine[] =>
  lines.filter((line) => line.message === message);

test(
  'two engines keep to their cores, share the jobs, and make the images of one engine, byte for byte',
  skip,
  async () => {
    const folder = temporaryFolder();
    const prompts = Array.from({ length: 8 }, (_, seed) => ({
      _id: `p${seed}`,
      text: 'a red circle',
      seed,
      num_inference_steps: 4,
    }));
    const made: Buffer[][] = [];
    for (const engines of ['1', '2']) {
      const dataDir = join(folder, engines);
      await enqueue(dataDir, prompts);
      let cpus: readonly string[] = [];
      let ready = 0;
      const ran = await run({
        dataDir,
        args: ['--engines', engines],
        onLine: ({ message }, pid) => {
          if (message === 'model ready' && ++ready === 2) cpus = childrenOf(pid).map(cpusOf);
        },
      });
      assert.equal(ran.code, 0, JSON.stringify(ran.lines));
      assert.equal(ran.paths.length, prompts.length);
      made.push(ran.paths.toSorted().map((path) => readFileSync(path)));
      if (engines === '1') continue;
      const told = messages(ran, 'model ready');
      assert.deepEqual(new Set(told.map(({ engine }) => engine)), new Set(['engine 1', 'engine 2']));
      for (const line of told) assert.deepEqual([line['device'], typeof line['threads']], ['cpu', 'number']);
      const runtimes = told.map((line) => `${String(line['runtime'])}: ${String(line['runtime_reason'])}`);
      assert.equal(new Set(runtimes).size, 1, 'the engines run on one runtime, for the reason that the first one had');
      assert.doesNotMatch(runtimes.join(), /asked for/);
      if (
        told.every((line) => line['cpus'] !== undefined) &&
        !ran.lines.some(({ warning }) => /taskset/.test(String(warning)))
      ) {
        assert.deepEqual(new Set(cpus), new Set(told.map((line) => line['cpus'])), 'the system has it as the log says');
        assert.equal(new Set(cpus).size, 2);
      }
      const drew = new Set(messages(ran, 'prompt completed').map(({ engine }) => engine));
      assert.deepEqual(drew, new Set(['engine 1', 'engine 2']));
    }
    assert.deepEqual(made[0], made[1]);
  },
);

test('kill -9 of one real engine costs its own document one attempt, and every image is there once', skip, async () => {
  const dataDir = join(temporaryFolder(), 'data');
  const prompts = Array.from({ length: 4 }, (_, seed) => ({
    _id: `p${seed}`,
    text: 'a blue star',
    seed,
    num_inference_steps: 60,
  }));
  await enqueue(dataDir, prompts);
  let ready = 0;
  const ran = await run({
    dataDir,
    args: ['--engines', '2', '--log-level', 'DEBUG'],
    onLine: ({ message }, pid) => {
      if (message !== 'model ready' || ++ready < 2) return;
      void sleep(500).then(() => process.kill(childrenOf(pid)[1] ?? 0, 'SIGKILL'));
    },
  });
  assert.equal(ran.code, 0);
  assert.equal(new Set(ran.paths).size, prompts.length);
  assert.equal(messages(ran, 'prompt completed').length, prompts.length);
  const ended = messages(ran, 'the engine process ended');
  assert.deepEqual(
    ended.map(({ engine }) => engine),
    ['engine 2'],
  );
  const failed = messages(ran, 'prompt failed');
  assert.ok(failed.length <= 1, 'the other engine went on with its own');
  const list = await runCli({ args: ['jobs', 'list', '--status', 'completed', '--json', '--data-dir', dataDir] });
  const attempts = list.stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { attempts: number }).attempts);
  assert.equal(
    attempts.reduce((sum, count) => sum + count, 0),
    prompts.length + failed.length,
  );
});

test(
  'a list with GPUs that are not there is refused with those that are, before anything is claimed',
  skip,
  async () => {
    const dataDir = join(temporaryFolder(), 'data');
    await enqueue(dataDir, [{ _id: 'a', text: 'a red circle' }]);
    const args = ['run', '--model', demo, '--data-dir', dataDir, '--device', 'cuda:98,cuda:99'];
    const { code, stderr } = await runCli({ args });
    assert.equal(code, 2, stderr);
    assert.match(
      stderr,
      /"cuda:9[89]" cannot be used: .* --device may list GPUs that are there: (?:no NVIDIA GPU answers on this machine|this machine has cuda:0.*)\. \[invalid_option\]/,
    );
    const list = await runCli({ args: ['jobs', 'list', '--status', 'pending', '--json', '--data-dir', dataDir] });
    assert.equal(list.stdout.trim().split('\n').length, 1);
  },
);

test('generate uses the first GPU of a list and says so', skip, async () => {
  const args = [
    'generate',
    'a red circle',
    '--model',
    demo,
    '--device',
    'cuda:98,cuda:99',
    '--output',
    join(temporaryFolder(), 'a.png'),
  ];
  const { code, stderr } = await runCli({ args });
  assert.match(stderr, /only "run" uses several.*device=cuda:98/);
  assert.equal(code, 5, stderr);
});

test('engines that the memory does not hold are refused with both numbers and the largest number', skip, async () => {
  const folder = temporaryFolder();
  const [model, dataDir] = [join(folder, 'model'), join(folder, 'data')];
  cpSync(demo, model, { recursive: true });
  const config = join(model, 'unet', 'config.json');
  // 16384×16384 pixels by default: no machine computes in what that takes, and one engine may still make small images.
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), sample_size: 4096 }));
  await enqueue(dataDir, [{ _id: 'a', text: 'a red circle', num_inference_steps: 1 }]);
  const args = ['run', '--model', model, '--data-dir', dataDir];
  const refused = await runCli({ args: [...args, '--engines', '2'] });
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(
    refused.stderr,
    /--engines 2 needs \d+\.\d GB of memory \(\d+\.\d GB for each engine\), and \d+\.\d GB are free\. The largest number is 1\. \[invalid_option\]/,
  );
  assert.equal((await runCli({ args })).code, 0);
});
