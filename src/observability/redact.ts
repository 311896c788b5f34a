/**
 * Makes log fields and messages fit to be written. Secrets are taken out: values under names that hold secrets, and the secrets that `lib/secrets.ts`
 * finds in texts. Lengths, depth and number are bounded. So no text of a document or a server can hold up the thread that renews leases.
 */
import { cut, quote, READ_LENGTH } from '../lib/foreign-text.ts';
import { REDACTED, withoutSecrets } from '../lib/secrets.ts';
import { errorFields } from './error-fields.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/** Endings of names whose value is a secret, in lower case and without separators. */
const SECRET_NAMES = [
  'password',
  'passwd',
  'passphrase',
  'secret',
  'authorization',
  'apikey',
  'privatekey',
  'credential',
  'cookie',
].flatMap((name) => [name, `${name}s`]);
const TOKEN = 'token';
/** Our own values never nest deeper than this; it ends cycles. */
const MAX_DEPTH = 6;
/** Of one object or list. */
const MAX_ENTRIES = 50;
const MAX_NAME_LENGTH = 100;
/** Of all values and names of one line together. */
const MAX_CHARACTERS = 16_000;

/** `mongodb://user:pass@host` → `mongodb://[redacted]@host`. */
export function redactText(text: string): string {
  return withoutSecrets(text);
}

/** A message or a field's text: some thousand characters of it, without secrets. */
export function boundedText(text: string, length = READ_LENGTH): string {
  // A secret that is cut in half is found nevertheless.
  return redactText(cut(text, length));
}

export function redactFields(fields: LogFields): LogFields {
  return redactRecord(fields, 0, { left: MAX_CHARACTERS });
}

/** How many characters the rest of the line may have. */
interface Budget {
  left: number;
}

function redactRecord(record: LogFields, depth: number, budget: Budget): LogFields {
  const entries: [string, unknown][] = [];
  for (const name of Object.keys(record)) {
    if (entries.length === MAX_ENTRIES || budget.left <= 0) {
      entries.push(['…', 'more fields are not shown']);
      break;
    }
    const shown = cut(name, MAX_NAME_LENGTH);
    budget.left -= shown.length;
    const value = record[name];
    entries.push([shown, holdsSecret(name, value) ? REDACTED : redactValue(value, depth + 1, budget)]);
  }
  return Object.fromEntries(entries);
}

/** Numbers and switches are none: `max_token: 77`. */
function holdsSecret(name: string, value: unknown): boolean {
  if (typeof value !== 'string' && (typeof value !== 'object' || value === null)) return false;
  // Only the end counts, so the rest of a long name is not looked at.
  const end = name
    .slice(-2 * MAX_NAME_LENGTH)
    .replaceAll(/[_.\s-]/g, '')
    .toLowerCase();
  return end.endsWith(TOKEN) || SECRET_NAMES.some((secret) => end.endsWith(secret));
}

function redactValue(value: unknown, depth: number, budget: Budget): unknown {
  const text = textOf(value);
  if (text !== undefined) {
    const shown = boundedText(text, Math.min(READ_LENGTH, Math.max(1, budget.left)));
    budget.left -= shown.length;
    return shown;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return '…';
  if (value instanceof Error) return redactRecord({ ...errorFields(value) }, depth, budget);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) return redactList(value, depth, budget);
  return redactRecord(value as LogFields, depth, budget);
}

function redactList(list: readonly unknown[], depth: number, budget: Budget): unknown[] {
  const shown: unknown[] = [];
  for (const element of list) {
    if (shown.length === MAX_ENTRIES || budget.left <= 0) return [...shown, '…'];
    // A number takes room too.
    budget.left -= 1;
    shown.push(redactValue(element, depth + 1, budget));
  }
  return shown;
}

/** The value as text; undefined for types that are not written as text. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return quote(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  return undefined;
}
