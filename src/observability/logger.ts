/**
 * Logs: a constant message and fields. People read lines on standard error, machines read JSON lines in `--log-file`.
 * Prompts are logged by id and length only; `redact.ts` takes secrets out of whatever is logged, and bounds it.
 */
import { createRequire } from 'node:module';
import type * as Pino from 'pino';
import { printable } from '../lib/foreign-text.ts';
import { LogFile } from './log-file.ts';
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
}

export type { LogFields };

/** For tests and for callers that have nobody to tell. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warning() {},
  error() {},
  critical() {},
};

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Gets every line for people, without its end; the progress bars share the terminal with it. */
  readonly writeLine: (line: string) => void;
  /** JSON lines are appended to it; its folder is made. */
  readonly logFile?: string | undefined;
  /** A test's clock. */
  readonly now?: () => Date;
}

const LEVEL_NUMBERS = { debug: 10, info: 20, warning: 30, error: 40, critical: 50 } as const;
type MethodName = keyof typeof LEVEL_NUMBERS;

/** A logger that owns a file handle; `[Symbol.dispose]` closes it, twice if need be. */
export interface OpenLogger extends Logger, Disposable {}

/** What `pino` writes itself; a field of the same name would stand beside it. */
const OWN_NAMES: ReadonlySet<string> = new Set(['level', 'time', 'message']);

/** @throws `invalid_option` when the log file cannot be opened */
export function createLogger(options: LoggerOptions): OpenLogger {
  const now = options.now ?? (() => new Date());
  const lowest = LEVEL_NUMBERS[options.level.toLowerCase() as MethodName];
  const emit = (method: MethodName, message: string, fields: LogFields = {}): void => {
    if (LEVEL_NUMBERS[method] < lowest) return;
    const safe = { message: boundedText(message), fields: redactFields(fields) };
    for (const line of formatLine({ time: now(), level: method.toUpperCase(), ...safe })) options.writeLine(line);
    json?.[method](withoutOwnNames(safe.fields), safe.message);
  };
  const file = options.logFile === undefined ? undefined : openFile(options.logFile, now, emit);
  const json = file === undefined ? undefined : jsonLines(options.level, now, file);
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warning: (message, fields) => emit('warning', message, fields),
    error: (message, fields) => emit('error', message, fields),
    critical: (message, fields) => emit('critical', message, fields),
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

function jsonLines(level: LogLevel, now: () => Date, file: LogFile): Record<MethodName, JsonMethod> {
  // Loaded only for a log file, because it costs each start about 29 modules.
  const { pino } = createRequire(import.meta.url)('pino') as typeof Pino;
  return pino(
    {
      level: level.toLowerCase(),
      customLevels: LEVEL_NUMBERS,
      useOnlyCustomLevels: true,
      base: null,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: () => `,"time":"${now().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
    },
    // Escaped as in JSON, so that it is the same JSON, and safe to look at in a terminal.
    { write: (line: string) => file.write(`${printable(line.slice(0, -1))}\n`) },
  );
}

type JsonMethod = (fields: LogFields, message: string) => void;

function withoutOwnNames(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [OWN_NAMES.has(name) ? `${name}_` : name, value]),
  );
}
