/** Starts the program as its users do: the launcher in a process of its own, with nothing of the caller's environment that it reads. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const launcher = join(root, 'bin', 'text2img.js');

export const PACKAGE = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
};

export interface CliResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly stdin?: string | Buffer;
  readonly environment?: Readonly<Record<string, string>>;
  /** The launcher of another version. */
  readonly program?: string;
  /** Of standard output; `latin1` for bytes. */
  readonly encoding?: BufferEncoding;
}

const OURS =
  /^(?:TEXT2IMG_|MONGO_URI|GCS_BUCKET|CALLBACK_URL|MODEL_ID|NUM_INFERENCE_STEPS|BATCH_SIZE|LOG_FILE|LOG_LEVEL)/;

export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !OURS.test(name) && name !== 'NODE_OPTIONS'),
  );
  return { ...inherited, TEXT2IMG_COMPILE_CACHE: 'off', ...extra };
}

export async function runCli({
  args,
  cwd = root,
  stdin = '',
  environment,
  program = launcher,
  encoding = 'utf8',
}: CliOptions): Promise<CliResult> {
  const child = spawn(process.execPath, [program, ...args], { cwd, env: cleanEnvironment(environment) });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding(encoding).on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  // A program that ends before it has read its input is no fault of the test.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** A folder that is removed when the test file has run. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-e2e-'));
  // Last of all, when whatever a test mounted in it is gone again.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
