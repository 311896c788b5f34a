/**
 * A log line as people read it: `12:34:56 WARNING the prompt was cut  prompt_id=7 cut="…"`. Names, values and stacks come from outside in part. So
 * they are escaped and bounded, and a line ends only where we end it.
 */
import { cut, excerpt, printable, quote } from '../lib/foreign-text.ts';
import { isRecord } from '../lib/foreign-record.ts';
import type { LogFields } from './redact.ts';

export interface LogLine {
  readonly time: Date;
  /** As it is written. */
  readonly level: string;
  readonly message: string;
  /** Out of `redactFields`. */
  readonly fields: LogFields;
}

const MESSAGE_LENGTH = 600;
const VALUE_LENGTH = 600;
const LINE_LENGTH = 3000;
const STACK_LINES = 30;
const STACK_LINE_LENGTH = 300;

/** The line, and the lines of a stack trace below it, each without its end. */
export function formatLine({ time, level, message, fields }: LogLine): string[] {
  const { error, ...others } = fields;
  const { pairs: errorPairs, stack } = partsOf(error);
  const pairs = [...Object.entries(others), ...errorPairs]
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${formatName(name)}=${formatValue(value)}`);
  const head = `${time.toISOString().slice(11, 19)} ${level.padEnd(7)} ${excerpt(message, MESSAGE_LENGTH)}`;
  const line = pairs.length === 0 ? head : `${head}  ${pairs.join(' ')}`;
  return [cut(line, LINE_LENGTH), ...(stack === undefined ? [] : formatStack(stack))];
}

interface ErrorParts {
  readonly pairs: readonly [string, unknown][];
  readonly stack: string | undefined;
}

/** The parts of an error for people: its code and its sentence as fields, its stack below the line. */
function partsOf(error: unknown): ErrorParts {
  if (!isRecord(error)) return { pairs: error === undefined ? [] : [['error', error]], stack: undefined };
  const { code, message: reason, stack, ...rest } = error;
  const pairs = Object.entries({ code, reason, ...rest });
  return { pairs, stack: typeof stack === 'string' ? stack : undefined };
}

function formatName(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : quote(name);
}

function formatValue(value: unknown): string {
  if (typeof value !== 'string') return cut(printable(JSON.stringify(value) ?? String(value)), VALUE_LENGTH);
  return /^[\w./:@%+-]+$/.test(value) ? cut(value, VALUE_LENGTH) : quote(value, VALUE_LENGTH);
}

/** Indented, so that no line of it can pass for a log line. */
function formatStack(stack: string): string[] {
  const lines = stack.split('\n');
  return lines.slice(0, STACK_LINES).map((line) => `    ${excerpt(line, STACK_LINE_LENGTH)}`);
}
