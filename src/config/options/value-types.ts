/**
 * How an option's text becomes a value: from a command line or the environment everything arrives as text. No package is needed for it, because
 * every command reads its options.
 */

/** The types of request fields (`job/field-types.ts`) are such types too. */
export interface ValueType<T> {
  /** Where the values are names: those that somebody may have meant who typed another one. */
  readonly names?: readonly string[];
  /** Words that other tools say for them: `half` is `float16`. */
  readonly otherWords?: Readonly<Record<string, string>>;
  /** @returns undefined where the text is not allowed */
  parseText(text: string): T | undefined;
  /** Why it is not, where "it must be …" does not say it. Never quotes: the text may be a secret. */
  reasonAgainst?(text: string): string | undefined;
}

interface Range {
  readonly min: number;
  readonly max?: number;
}

export const text: ValueType<string> = { parseText: (value) => value };

/** A text of this form. */
export function matching(form: RegExp, otherWords: Readonly<Record<string, string>> = {}): ValueType<string> {
  return { otherWords, parseText: (value) => (form.test(value) ? value : undefined) };
}

/** A text that nothing speaks against. @param reasonAgainst undefined: nothing */
export function checked(reasonAgainst: (value: string) => string | undefined): ValueType<string> {
  return { parseText: (value) => (reasonAgainst(value) === undefined ? value : undefined), reasonAgainst };
}

export function wholeNumber({ min, max = Number.MAX_SAFE_INTEGER }: Range): ValueType<number> {
  return numberOf(/^\s*[+-]?\d+\s*$/, (value) => Number.isSafeInteger(value) && value >= min && value <= max);
}

/** Finite: NaN and infinities are refused. */
export function decimalNumber({ min, max = Number.MAX_VALUE }: Range): ValueType<number> {
  return numberOf(/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i, (value) => value >= min && value <= max);
}

/** Other forms that `Number` takes (hexadecimal, an empty text) are no number here. */
function numberOf(form: RegExp, isAllowed: (value: number) => boolean): ValueType<number> {
  return {
    parseText: (value) => {
      const number = form.test(value) ? Number(value) : Number.NaN;
      return isAllowed(number) ? number : undefined;
    },
  };
}

export function oneOf<const Names extends readonly string[]>(
  names: Names,
  otherWords: Readonly<Record<string, Names[number]>> = {},
): ValueType<Names[number]> {
  return { names, otherWords, parseText: (value) => names.find((name) => name === value) };
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `30min`, `1h`, `2d`: milliseconds. */
export const timeSpan: ValueType<number> = {
  parseText: (value) => {
    const [, number = '', unit = ''] = /^(\d{1,6}(?:\.\d{1,3})?) ?(s|m|min|h|d)$/.exec(value.trim()) ?? [];
    const ms = Number(number) * (UNITS_MS[unit] ?? Number.NaN);
    return Number.isFinite(ms) ? ms : undefined;
  },
};

const ON = ['1', 'true', 'yes', 'on'];
const OFF = ['0', 'false', 'no', 'off'];

/** In the environment a switch has a value; on the command line it is `--x` or `--no-x`. */
export const onOrOff: ValueType<boolean> = {
  parseText: (value) => {
    const word = value.trim().toLowerCase();
    return ON.includes(word) ? true : OFF.includes(word) ? false : undefined;
  },
};

type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

/** As other loggers call the levels: Python, pino, winston, log4j, syslog, slog. */
const LOG_LEVELS: ReadonlyMap<string, LogLevel> = new Map<string, LogLevel>([
  ...['ALL', 'NOTSET', 'TRACE', 'SILLY', 'VERBOSE', 'FINE', 'DEBUG'].map((name) => [name, 'DEBUG'] as const),
  ...['INFO', 'INFORMATION', 'INFORMATIONAL', 'NOTICE'].map((name) => [name, 'INFO'] as const),
  ...['WARN', 'WARNING'].map((name) => [name, 'WARNING'] as const),
  ...['ERR', 'ERROR', 'SEVERE'].map((name) => [name, 'ERROR'] as const),
  ...['CRIT', 'CRITICAL', 'FATAL', 'ALERT', 'EMERG', 'EMERGENCY', 'PANIC'].map((name) => [name, 'CRITICAL'] as const),
]);

/** In either case. */
export const logLevel: ValueType<LogLevel> = {
  names: [...LOG_LEVELS.keys()],
  parseText: (value) => LOG_LEVELS.get(value.trim().toUpperCase()),
};

/** In either case. */
export const logFormat: ValueType<'text' | 'json'> = {
  names: ['text', 'json'],
  parseText: (value) => (['text', 'json'] as const).find((format) => format === value.trim().toLowerCase()),
};

/** Entries separated by commas, in lower case; an empty text is none. */
function list(value: string): readonly string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

const EVENTS = ['completed', 'error'] as const;

export const eventList: ValueType<ReadonlySet<(typeof EVENTS)[number]>> = {
  names: EVENTS,
  parseText: (value) => {
    const named = list(value);
    const events = EVENTS.filter((event) => named.includes(event));
    return events.length > 0 && named.every((name) => EVENTS.some((event) => event === name))
      ? new Set(events)
      : undefined;
  },
};

/** `host` or `host:port`. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/;

export const hostList: ValueType<ReadonlySet<string>> = {
  parseText: (value) => {
    const hosts = list(value);
    return hosts.every((host) => HOST.test(host)) ? new Set(hosts) : undefined;
  },
};

const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$/;

/** `*`, or names as they stand in a `Host` header, without a port. */
export const hostNameList: ValueType<ReadonlySet<string>> = {
  parseText: (value) => {
    const hosts = list(value);
    return hosts.every((host) => host === '*' || HOST_NAME.test(host)) ? new Set(hosts) : undefined;
  },
};

/** `*`, or origins as browsers send them: without a path. */
export const originList: ValueType<ReadonlySet<string>> = {
  parseText: (value) => {
    const origins = list(value);
    const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text;
    return origins.every((origin) => origin === '*' || isOrigin(origin)) ? new Set(origins) : undefined;
  },
};
