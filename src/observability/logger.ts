/**
 * Logs: a constant message and fields. People read lines on standard error. Machines read JSON lines in `--log-file`, and with `--log-format json` on
 * standard error. A JSON line never has one name twice, so every reader finds the same in it.
 * Prompts are logged by id and length only. `redact.ts` takes secrets out of all messages and fields, and bounds them.
 */
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import type * as Pino from 'pino';
import { printable } from '../lib/foreign-text.ts';
import { VERSION } from '../version.ts';
import { LogFile } from './log-file.ts';
import { Spareness } from './spareness.ts';
import { formatLine } from './log-line.ts';
import { boundedText, type LogFields, redactFields } from './redact.ts';

/** Python's names, because the service's users grep for them. */
const LOG_LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  critical(message: string, fields?: LogFields): void;
  /**
   * A warning that comes again and again while a trouble lasts. It is written at once, then once a minute with the number of lines left out; those
   * are at DEBUG. One trouble is one code of `fields.error`, in all jobs and parts together.
   */
  repeated(message: string, fields: LogFields & { readonly error: unknown }): void;
}

export type { LogFields };

/** For tests and for callers that have nobody to tell. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warning() {},
  error() {},
  critical() {},
  repeated() {},
};

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Gets every line of standard error, without its end; the progress bars share the terminal with it. */
  readonly writeLine: (line: string) => void;
  /** Of the lines that `writeLine` gets. Default: `text`. */
  readonly format?: 'text' | 'json';
  /** JSON lines are appended to it; its folder is made. */
  readonly logFile?: string | undefined;
  /** A test's clock. */
  readonly now?: () => Date;
}

const LEVEL_NUMBERS = { debug: 10, info: 20, warning: 30, error: 40, critical: 50 } as const;
type MethodName = keyof typeof LEVEL_NUMBERS;

/** A logger that owns a file handle; `[Symbol.dispose]` closes it, twice if need be. */
export interface OpenLogger extends Logger, Disposable {}

/** The names in each JSON line; a field of the same name gets `_` behind it. */
const OWN_NAMES: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'host', 'version', 'message']);

/** @throws `invalid_option` when the log file cannot be opened */
export function createLogger(options: LoggerOptions): OpenLogger {
  const now = options.now ?? (() => new Date());
  const spareness = new Spareness(() => now().getTime());
  const lowest = LEVEL_NUMBERS[options.level.toLowerCase() as MethodName];
  const emit = (method: MethodName, message: string, fields: LogFields = {}): void => {
    spareness.note(method, fields['error']);
    if (LEVEL_NUMBERS[method] < lowest) return;
    const safe = { message: boundedText(message), fields: redactFields(fields) };
    if (options.format !== 'json')
      for (const line of formatLine({ time: now(), level: method.toUpperCase(), ...safe })) options.writeLine(line);
    json?.[method](withoutOwnNames(safe.fields), safe.message);
  };
  const file = options.logFile === undefined ? undefined : openFile(options.logFile, now, emit);
  const writers = [
    ...(options.format === 'json' ? [(line: string) => options.writeLine(line)] : []),
    ...(file === undefined ? [] : [(line: string) => file.write(`${line}\n`)]),
  ];
  const json = writers.length === 0 ? undefined : jsonLines(options.level, now, writers);
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warning: (message, fields) => emit('warning', message, fields),
    error: (message, fields) => emit('error', message, fields),
    critical: (message, fields) => emit('critical', message, fields),
    repeated: (message, fields) => {
      const leftOut = spareness.leftOut(message, fields.error);
      if (leftOut === undefined) emit('debug', message, fields);
      else emit('warning', message, leftOut === 0 ? fields : { ...fields, left_out: leftOut });
    },
    [Symbol.dispose]: () => file?.[Symbol.dispose](),
  };
}

type Emit = (method: MethodName, message: string, fields?: LogFields) => void;

function openFile(path: string, now: () => Date, emit: Emit): LogFile {
  return new LogFile(path, {
    now,
    onTrouble: (reason) => emit('warning', 'the log file cannot be written; it is tried again each minute', { reason }),
    onMended: (count) => emit('warning', 'the log file is written again; lines are missing in it', { count }),
  });
}

type WriteLine = (line: string) => void;

function jsonLines(level: LogLevel, now: () => Date, writers: readonly WriteLine[]): Record<MethodName, JsonMethod> {
  // Loaded only where JSON is wanted, because it costs each start about 29 modules.
  const { pino } = createRequire(import.meta.url)('pino') as typeof Pino;
  return pino(
    {
      level: level.toLowerCase(),
      customLevels: LEVEL_NUMBERS,
      useOnlyCustomLevels: true,
      base: { pid: process.pid, host: hostname(), version: VERSION },
      messageKey: 'message',
      // Errors are plain objects by now; pino's own form of them would repeat the message.
      serializers: { err: (value: unknown) => value },
      timestamp: () => `,"time":"${now().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
    },
    // Escaped as in JSON, so that it is the same JSON, and safe to look at in a terminal.
    {
      write: (line: string) => {
        const shown = printable(line.slice(0, -1));
        for (const write of writers) write(shown);
      },
    },
  );
}

type JsonMethod = (fields: LogFields, message: string) => void;

function withoutOwnNames(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [OWN_NAMES.has(name) ? `${name}_` : name, value]),
  );
}
