/** The program's output at its real doors: readers that are slow, have stopped or have gone, full disks, and an end that waits for nobody for ever. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanEnvironment, launcher, runCli, temporaryFolder } from './run-cli.ts';

const folder = temporaryFolder();
/** Many times what any of these takes. */
const PATIENCE_MS = 120_000;
const NO_DEVICE = existsSync('/dev/full') ? false : 'NOT CHECKED: full disks (there is no /dev/full)';

function start(args: readonly string[], stdio: ('pipe' | 'ignore' | number)[], environment = {}): ChildProcess {
  return spawn(process.execPath, [launcher, ...args], {
    cwd: folder,
    stdio: stdio as [],
    env: cleanEnvironment(environment),
  });
}

/** Its exit code; undefined when it has not ended. */
async function ended(child: ChildProcess): Promise<number | string | null | undefined> {
  const end = new Promise<number | string | null>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal)),
  );
  const result = await Promise.race([end, sleep(PATIENCE_MS, undefined, { ref: false })]);
  child.kill('SIGKILL');
  return result;
}

/** 10 MB of results: each id is printed. */
const LINES = 20_000;
const input = join(folder, 'lines.jsonl');
writeFileSync(
  input,
  Array.from({ length: LINES }, (_, n) => JSON.stringify({ _id: `${n}-${'x'.repeat(500)}`, text: 'a' })).join('\n'),
);

test('10 MB of results arrive whole at a reader that begins late', async () => {
  const child = start(['enqueue', input, '--json', '--data-dir', join(folder, 'slow')], ['ignore', 'pipe', 'ignore']);
  const exit = ended(child);
  // Nothing is read until long after the pipe is full.
  child.stdout?.pause();
  await sleep(3000);
  let text = '';
  for await (const chunk of child.stdout?.setEncoding('utf8') ?? []) text += chunk as string;
  assert.equal(await exit, 0);
  const ids = text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: string }).id);
  assert.equal(ids.length, LINES);
  assert.equal(ids.at(-1)?.split('-')[0], String(LINES - 1));
});

test('a reader that closes its end is no error', async () => {
  const child = start(
    ['jobs', 'list', '--limit', String(LINES), '--data-dir', join(folder, 'slow')],
    ['ignore', 'pipe', 'ignore'],
  );
  child.stdout?.once('data', () => child.stdout?.destroy());
  assert.equal(await ended(child), 0);
});

test('a log that nobody reads does not keep the process from ending, nor does it fill the memory', async () => {
  const noisy = join(folder, 'noisy.mjs');
  // 200 MB of lines through the door, then a command with an error.
  writeFileSync(
    noisy,
    `const { Terminal } = await import(${JSON.stringify(new URL('../../src/cli/terminal.ts', import.meta.url).href)});
     const terminal = new Terminal({ stdout: process.stdout, stderr: process.stderr, nowMs: () => performance.now() });
     for (let line = 0; line < 100_000; line++) terminal.line('x'.repeat(2000));
     terminal.result(String(Math.round(process.memoryUsage().rss / 1e6)));
     await terminal.flush({ resultsMs: 60_000, linesMs: 500 });
     process.exit(7);`,
  );
  const child = spawn(process.execPath, [noisy], { stdio: ['ignore', 'pipe', 'pipe'] });
  // Nobody reads child.stderr.
  let megabytes = '';
  child.stdout.on('data', (chunk) => (megabytes += String(chunk)));
  assert.equal(await ended(child), 7);
  assert.ok(Number(megabytes) < 200, `${megabytes.trim()} MB`);
  const command = start(['jobs', 'show', 'nope', '--data-dir', join(folder, 'slow')], ['ignore', 'ignore', 'pipe']);
  assert.equal(await ended(command), 2);
});

test('results on a full disk: exit 5 and a sentence; a log on a full disk: nothing', { skip: NO_DEVICE }, async () => {
  const full = openSync('/dev/full', 'w');
  const args = ['enqueue', '--prompt', 'a', '--data-dir', join(folder, 'full')];
  const lost = start(args, ['ignore', full, 'pipe']);
  let said = '';
  lost.stderr?.on('data', (chunk) => (said += String(chunk)));
  assert.equal(await ended(lost), 5);
  assert.match(said, /Results are missing on standard output: ENOSPC.* \[output_lost\]/);
  assert.equal(await ended(start(args, ['ignore', 'ignore', full])), 0);
  const { stdout } = await runCli({ args: ['jobs', 'list', '--json', '--data-dir', join(folder, 'full')] });
  assert.equal(stdout.trim().split('\n').length, 2, 'both prompts are in the queue');
});

test('the process ends although something keeps a handle open', async () => {
  const open = '--import=data:text/javascript,setInterval(()=>undefined,1000)';
  for (const args of [['--version'], ['jobs', 'show', 'nope', '--data-dir', join(folder, 'slow')]])
    assert.notEqual(await ended(start(args, ['ignore', 'ignore', 'ignore'], { NODE_OPTIONS: open })), undefined);
});

test('what nobody caught is told as a bug, escaped, with exit 70', async () => {
  const bad = join(folder, 'bad.mjs');
  writeFileSync(
    bad,
    `const fail = () => { throw new Error('odd\\u009b\\u202e\\nmongodb://u:Pa55phrase@h'); };
     process.on('newListener', (name) => { if (name === 'uncaughtException') setImmediate(fail); });`,
  );
  const { code, stderr } = await runCli({ args: ['doctor'], environment: { NODE_OPTIONS: `--import=${bad}` } });
  assert.equal(code, 70, stderr);
  assert.match(
    stderr,
    /^text2img: Unexpected error: odd\\u009b\\u202e\\u000amongodb:\/\/\[redacted\]@h \[internal\]\n/m,
  );
  assert.match(stderr, /This is a bug of text2img/);
  assert.doesNotMatch(stderr, /[\u0080-\u009f\u202e]|Pa55/);
});

test('a log file that is a pipe without a reader is refused, not waited for', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const { code, stderr } = await runCli({ args: ['jobs', 'list'], cwd: folder, environment: { LOG_FILE: pipe } });
  assert.equal(code, 2);
  assert.match(stderr, /\[invalid_option\]\n$/);
});

test('errors are JSON on standard output with --json and with TEXT2IMG_JSON, and only then', async () => {
  const show = ['jobs', 'show', 'nope', '--data-dir', join(folder, 'slow')];
  const cases: [readonly string[], Record<string, string>, boolean][] = [
    [[...show, '--json'], {}, true],
    [show, { TEXT2IMG_JSON: '1' }, true],
    [['--no-such-flag'], { TEXT2IMG_JSON: 'on' }, true],
    [[...show, '--no-json'], { TEXT2IMG_JSON: '1' }, false],
    [show, { TEXT2IMG_JSON: '0' }, false],
    [['generate', '--prompt', '--json', '--model', '/no/such/model'], {}, false],
  ];
  for (const [args, environment, isJson] of cases) {
    const { stdout, code } = await runCli({ args, environment });
    assert.equal(code === 0, false);
    if (isJson)
      assert.match((JSON.parse(stdout) as { error: { code: string } }).error.code, /^(?:not_found|unknown_option)$/);
    else assert.equal(stdout, '');
  }
});

test('of an unknown flag nothing behind its = is shown, and its name is bounded and escaped', async () => {
  const log = join(folder, 'flags.log');
  for (const arg of [
    '--mongouri=mongodb://u:Pa55phrase@h/db',
    '--tokenn=Pa55phrase',
    '-Pa55phrase',
    `--${'x'.repeat(60_000)}=Pa55phrase`,
    '--o\u009b\u202edd=Pa55phrase',
  ]) {
    const { code, stderr, stdout } = await runCli({ args: ['run', arg], environment: { LOG_FILE: log } });
    assert.equal(code, 2, stderr);
    assert.doesNotMatch(
      stderr + stdout + (existsSync(log) ? readFileSync(log, 'utf8') : ''),
      /Pa55|a55phrase|[\u0080-\u009f\u202e]/,
    );
    assert.ok(stderr.length < 700);
  }
});

test('a second signal ends the program at once, and an engine that hangs with it', {
  skip: process.platform !== 'linux',
}, async () => {
  const args = ['run', '--watch', '--grace-period', '600', '--data-dir', join(folder, 'killed')];
  const child = start(args, ['ignore', 'ignore', 'pipe']);
  let said = '';
  child.stderr?.on('data', (chunk) => (said += String(chunk)));
  while (!said.includes('model ready')) await sleep(50);
  const engine = engineOf(child.pid ?? 0);
  // It reads no message any more, and no signal but the last.
  process.kill(engine, 'SIGSTOP');
  child.kill('SIGTERM');
  while (!said.includes('stopping')) await sleep(50);
  child.kill('SIGTERM');
  assert.equal(await ended(child), 143);
  const startMs = performance.now();
  while (isAlive(engine) && performance.now() - startMs < PATIENCE_MS) await sleep(50);
  const isLeft = isAlive(engine);
  if (isLeft) process.kill(engine, 'SIGKILL');
  assert.equal(isLeft, false);
});

function engineOf(parent: number): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').map(Number);
  return children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('engine-child')) ?? 0;
}

/** A process that has ended and that nobody waits for any more is gone. */
function isAlive(pid: number): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
  return stat !== '' && !/^\d+ \(.*\) [ZX]/.test(stat);
}

test('a prompt of one word of 65,000 letters is drawn, and its warning is short', async () => {
  const { code, stderr, stdout } = await runCli({
    args: [
      'generate',
      '--prompt',
      `${'w'.repeat(64_990)}\u009b31m\u202e`,
      '--width=64',
      '--height=64',
      '--num-inference-steps=1',
      '--device=cpu',
      '--json',
      '--output',
      join(folder, 'word.png'),
    ],
    cwd: folder,
  });
  assert.equal(code, 0, stderr.slice(0, 2000));
  assert.ok(stderr.length < 4000, `${stderr.length} characters`);
  const { warnings } = JSON.parse(stdout) as { warnings: string[] };
  assert.match(warnings[0] ?? '', /was cut because CLIP reads at most 77 tokens; left out: "w{200,}…"/);
  assert.ok((warnings[0] ?? '').length < 600);
});
