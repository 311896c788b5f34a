/**
 * Takes secrets out of log fields and messages: values under names that hold secrets, and user names with passwords in URLs.
 */

export type LogFields = Readonly<Record<string, unknown>>;

const SECRET_NAMES =
  /^(?:.*(?:password|passwd|secret|authorization|api_?key|private_?key|credential)s?|(?:.*_)?token)$/i;
const REDACTED = '[redacted]';
/** Deeper than this nothing of ours nests; it ends cycles. */
const MAX_DEPTH = 6;

/** `mongodb://user:pass@host` → `mongodb://[redacted]@host`. */
export function redactText(text: string): string {
  return text.replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"'<>]+@/gi, `$1${REDACTED}@`);
}

export function redactFields(fields: LogFields): LogFields {
  return redactRecord(fields, 0);
}

function redactRecord(record: LogFields, depth: number): LogFields {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [
      name,
      SECRET_NAMES.test(name) && typeof value === 'string' ? REDACTED : redactValue(value, depth + 1),
    ]),
  );
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return redactText(value.stack ?? value.message);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return '…';
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) return value.map((element) => redactValue(element, depth + 1));
  return redactRecord(value as LogFields, depth);
}
