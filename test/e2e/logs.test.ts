/** What collectors read: JSON lines in the log file and on standard error, of every command, each line with every name once. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { VERSION } from '../../src/version.ts';
import { parseStrictly } from '../observability/strict-json.ts';
import { type CliResult, root, runCli, temporaryFolder } from './run-cli.ts';

const folder = temporaryFolder();
const logFile = join(folder, 'service.log');
const model = join(root, 'models', 'demo');
const QUICK = ['--width', '64', '--height', '64', '--num-inference-steps', '1'];
const PROMPTS = `${JSON.stringify({ _id: 'good', text: 'a' })}\n`;

interface Line {
  readonly level: string;
  readonly message: string;
  readonly pid: number;
  readonly host: string;
  readonly version: string;
  readonly error?: { readonly code: string; readonly message: string };
}

interface Run {
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

// In this order: what one leaves is what the next one works on.
const RUNS: readonly Run[] = [
  { args: ['enqueue', '-'], stdin: PROMPTS },
  { args: ['jobs', 'list'] },
  { args: ['run', '--model', model, ...QUICK, '--fail-on-error'] },
  { args: ['jobs', 'show', 'good'] },
  { args: ['jobs', 'show', 'nothing'] },
  { args: ['jobs', 'retry', 'good'] },
  { args: ['webhooks', 'list'] },
  { args: ['generate', '--prompt', 'a', '--model', model, ...QUICK, '--output', join(folder, 'x.png')] },
  { args: ['generate', '--prompt', 'a', '--width', '100'] },
  { args: ['models', 'list'] },
  { args: ['models', 'show', 'owner/none'] },
  { args: ['doctor', '--model', model] },
  { args: ['health', '--heartbeat-file', join(folder, 'none')] },
  { args: ['run', '--model', join(folder, 'none')], environment: { TEXT2IMG_NONSENSE: '1' } },
  { args: ['run', '--mongo-uri', 'mongodb://127.0.0.1/app'] },
  { args: ['nonsense'] },
];

/** Of a command with the folder and the log of these tests. */
function runIn(run: Run, environment: Readonly<Record<string, string>>): Promise<CliResult> {
  const common = {
    TEXT2IMG_DATA_DIR: folder,
    HF_HOME: join(folder, 'hf'),
    HF_ENDPOINT: 'http://127.0.0.1:9',
    OMP_NUM_THREADS: '1',
  };
  return runCli({ ...run, environment: { ...common, ...environment, ...run.environment } });
}

function linesOf(text: string): readonly Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseStrictly(line) as Line);
}

function isWhole({ level, message, pid, host, version, error }: Line): boolean {
  const hasBase = typeof pid === 'number' && host === hostname() && version === VERSION;
  const hasError = error === undefined || typeof error.message === 'string';
  return /^(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)$/.test(level) && message.length > 0 && hasBase && hasError;
}

test('with --log-format json every line on standard error, and every line of the file, is JSON with each name once', async () => {
  const failures: string[] = [];
  for (const run of RUNS) {
    const name = run.args.join(' ');
    const { stderr, code } = await runIn(run, {
      LOG_FILE: logFile,
      LOG_LEVEL: 'trace',
      TEXT2IMG_LOG_FORMAT: 'json',
    });
    const lines = linesOf(stderr);
    assert.ok(lines.every(isWhole), `${name}: ${stderr}`);
    if (code !== 0 && code !== 3) failures.push(name);
    if (code !== 0 && !name.startsWith('doctor')) {
      const last = lines.at(-1);
      assert.equal(last?.message, 'command failed', `${name}: ${stderr}`);
      assert.match(last?.error?.code ?? '', /^[a-z_]+$/, name);
    }
  }
  assert.ok(failures.length >= 5, 'some of these commands fail');
  const lines = linesOf(readFileSync(logFile, 'utf8'));
  assert.ok(lines.length > RUNS.length && lines.every(isWhole));
  assert.ok(lines.some(({ message }) => message === 'prompt completed'));
  assert.ok(existsSync(join(folder, 'x.png')));
});

test('without it people read text, and a command that fails says so once', async () => {
  const { stderr, code } = await runIn({ args: ['jobs', 'show', 'nothing'] }, { LOG_FILE: join(folder, 'other.log') });
  assert.equal(code, 2);
  assert.match(stderr, /^text2img: There is no job "nothing"[^\n]*\[not_found\]\n$/);
  const [line] = linesOf(readFileSync(join(folder, 'other.log'), 'utf8'));
  assert.equal(line?.error?.code, 'not_found');
  assert.ok(stderr.includes(line?.error?.message ?? '?'));
});
