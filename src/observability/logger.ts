/**
 * Logs: a constant message and fields. People read lines on standard error, machines read JSON lines in `--log-file`.
 * Prompts are logged by id and length only; `redact.ts` takes secrets out of whatever is logged.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { type LogFields, redactFields, redactText } from './redact.ts';

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
  /** Gets every line for people, without its newline; the progress bars share the terminal with it. */
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

/** @throws `invalid_option` when the log file cannot be opened */
export function createLogger(options: LoggerOptions): OpenLogger {
  const now = options.now ?? (() => new Date());
  const file = options.logFile === undefined ? undefined : openLogFile(options.logFile, options.writeLine);
  const json = pino(
    {
      level: options.level.toLowerCase(),
      customLevels: LEVEL_NUMBERS,
      useOnlyCustomLevels: true,
      base: null,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: () => `,"time":"${now().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
    },
    { write: (line: string) => file?.write(line) },
  );
  const lowest = LEVEL_NUMBERS[options.level.toLowerCase() as MethodName];

  const emit = (method: MethodName, message: string, fields: LogFields | undefined): void => {
    if (LEVEL_NUMBERS[method] < lowest) return;
    const safeFields = redactFields(fields ?? {});
    const safeMessage = redactText(message);
    options.writeLine(
      formatLine({ time: now(), level: method.toUpperCase(), message: safeMessage, fields: safeFields }),
    );
    if (file !== undefined) json[method](safeFields, safeMessage);
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warning: (message, fields) => emit('warning', message, fields),
    error: (message, fields) => emit('error', message, fields),
    critical: (message, fields) => emit('critical', message, fields),
    [Symbol.dispose]: () => file?.close(),
  };
}

interface LogLine {
  readonly time: Date;
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** `12:34:56 WARNING the prompt was cut  prompt_id=7 cut="…"`; a stack trace goes on lines of its own. */
function formatLine({ time, level, message, fields }: LogLine): string {
  const { stack, ...others } = fields;
  const pairs = Object.entries(others)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${formatValue(value)}`);
  const head = `${time.toISOString().slice(11, 19)} ${level.padEnd(7)} ${oneLine(message)}`;
  const line = pairs.length === 0 ? head : `${head}  ${pairs.join(' ')}`;
  return typeof stack === 'string' ? `${line}\n${stack.replaceAll(/^/gm, '    ')}` : line;
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@%+-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? String(value);
}

/** A message from outside (an engine's, an error's) must not be able to fake a second log line. */
function oneLine(text: string): string {
  return text.replaceAll(/[\n\r\u2028\u2029]+/g, ' ⏎ ');
}

interface LogFile {
  write(line: string): void;
  close(): void;
}

function openLogFile(path: string, writeLine: (line: string) => void): LogFile {
  let handle: number | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    handle = openSync(path, 'a');
  } catch (error) {
    throw new Text2ImgError(
      'invalid_option',
      `--log-file ${JSON.stringify(path)} cannot be written: ${(error as Error).message}.`,
      { cause: error },
    );
  }
  const close = (): void => {
    if (handle !== undefined) closeSync(handle);
    handle = undefined;
  };
  return {
    // Synchronous, so that the last lines before a crash or an exit are in the file.
    write: (line) => {
      if (handle === undefined) return;
      try {
        writeSync(handle, line);
      } catch (error) {
        // A full disk must not stop the drawing: the lines are still on standard error.
        close();
        writeLine(`the log file cannot be written any more: ${(error as Error).message}`);
      }
    },
    close,
  };
}
