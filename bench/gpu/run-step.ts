/** Runs one step in a process of its own and reads what it prints: a step that crashes ends nothing but itself. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { killMarked, MARK } from './marked-processes.ts';
import type { Row, Step, StepMessage, StepState, Surroundings } from './step.ts';

const CHILD = fileURLToPath(new URL('step-child.ts', import.meta.url));
/** Of standard error, in characters: the last words say why it ended. */
const KEPT_ERRORS = 4000;

export interface Ending {
  readonly state: Exclude<StepState, 'running'>;
  readonly reason?: string;
}

export interface RunStepOptions {
  readonly surroundings: Surroundings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Then it is killed. */
  readonly limitSeconds: number;
  readonly onRow: (row: Row) => void;
  /** Gets standard error as it comes. */
  readonly onError?: (text: string) => void;
}

/** Never throws. */
export async function runStep(step: Step, options: RunStepOptions): Promise<Ending> {
  const { surroundings, environment, limitSeconds, onRow, onError } = options;
  const mark = randomUUID();
  const child = spawn(process.execPath, [CHILD, JSON.stringify({ ...surroundings, ...step.task })], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...environment, ...step.environment, [MARK]: mark },
  });
  let end: Ending | undefined;
  let errors = '';
  let isLate = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-KEPT_ERRORS);
    onError?.(text);
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const message = messageOf(line);
    if (message === undefined) return;
    if ('row' in message) onRow(message.row);
    else end = message.end === 'done' ? { state: 'done' } : { state: message.end, reason: message.reason };
  });
  const timer = setTimeout(() => {
    isLate = true;
    killMarked(mark);
  }, limitSeconds * 1000);
  // What it started may hold its output open.
  child.once('exit', () => killMarked(mark));
  const closed = await new Promise<string | undefined>((settle) => {
    child.once('error', (error) => settle(error.message));
    child.once('close', (code, signal) => settle(endingText(code, signal)));
  });
  clearTimeout(timer);
  if (isLate) return { state: 'failed', reason: `it was stopped after ${Math.round(limitSeconds)} s` };
  if (closed === undefined && end !== undefined) return end;
  return {
    state: 'failed',
    reason: [closed ?? 'it ended without a result', lastWords(errors)].filter(Boolean).join(': '),
  };
}

/** undefined: it ended well. */
function endingText(code: number | null, signal: NodeJS.Signals | null): string | undefined {
  if (code === 0) return undefined;
  return signal === null ? `its process ended with ${code}` : `its process ended by ${signal}`;
}

function messageOf(line: string): StepMessage | undefined {
  if (!line.startsWith('{"row":') && !line.startsWith('{"end":')) return undefined;
  try {
    return JSON.parse(line) as StepMessage;
  } catch {
    return undefined;
  }
}

/** The line that names the error, or else the last one. */
function lastWords(errors: string): string {
  const lines = errors.trim().split('\n');
  const named = lines.findLast((line) => /^\w*Error\b|^\S+Error:/.test(line));
  return (named ?? lines.at(-1) ?? '').slice(0, 300);
}
