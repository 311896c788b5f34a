/** A stand-in for NVIDIA's program `nvidia-smi` at the front of PATH: it answers as a script tells it to. */
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { rmSync } from 'node:fs';

export const NO_SCRIPTS = process.platform === 'win32' ? 'NOT RUN: nvidia-smi is a script with a shebang here' : false;

/** What it prints, and how it ends. A function of its parameters, as source text. */
export interface SmiAnswer {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
  /** Of a query whose fields an old driver does not know. */
  readonly unknownField?: string;
  /** Without parameters. */
  readonly table?: string;
  /** It never ends. */
  readonly hangs?: boolean;
}

/** @returns an environment whose PATH begins with the folder of the program */
export function environmentWithSmi(t: TestContext, answer: SmiAnswer | undefined): Record<string, string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-smi-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = `${folder}:${process.env['PATH'] ?? ''}`;
  if (answer === undefined) return { ...process.env, PATH: folder };
  const program = join(folder, 'nvidia-smi');
  writeFileSync(
    program,
    `#!${process.execPath}
const answer = ${JSON.stringify(answer)};
const query = process.argv[2] ?? '';
if (answer.hangs) setInterval(() => undefined, 1000);
else if (answer.unknownField !== undefined && query.includes(answer.unknownField)) {
  process.stdout.write('Field "' + answer.unknownField + '" is not a valid field to query.\\n\\n');
  process.exitCode = 2;
} else if (query === '') process.stdout.write(answer.table ?? '');
else {
  // One line of the answer has the columns that were asked for, by their names.
  const columns = query.replace('--query-gpu=', '').split(',');
  const text = answer.stdout ?? '';
  const rows = text.startsWith('{') ? text.trim().split('\\n').map((line) => JSON.parse(line)) : undefined;
  process.stdout.write(rows === undefined ? text : rows.map((row) => columns.map((name) => row[name] ?? '[N/A]').join(', ')).join('\\n') + '\\n');
  process.stderr.write(answer.stderr ?? '');
  process.exitCode = answer.exitCode ?? 0;
}
`,
  );
  chmodSync(program, 0o755);
  return { ...process.env, PATH: path };
}

/** Rows by the names of nvidia-smi's columns. */
export function rows(...gpus: readonly Readonly<Record<string, string>>[]): string {
  return `${gpus.map((gpu) => JSON.stringify(gpu)).join('\n')}\n`;
}

/** As the driver 580 answers for it. */
export const H100 = {
  index: '0',
  uuid: 'GPU-8d2f4a80-3c8b-5b1e-9d9e-0a4f3c2b1a00',
  'memory.total': '81559',
  'memory.free': '80000',
  driver_version: '580.95.05',
  compute_cap: '9.0',
  'mig.mode.current': 'Disabled',
  persistence_mode: 'Enabled',
  'ecc.errors.uncorrected.volatile.total': '0',
  name: 'NVIDIA H100 80GB HBM3',
} as const;

export const T4 = {
  ...H100,
  index: '1',
  uuid: 'GPU-0a4f3c2b-1a00-8d2f-4a80-3c8b5b1e9d9e',
  'memory.total': '15360',
  'memory.free': '15000',
  compute_cap: '7.5',
  name: 'Tesla T4',
} as const;
