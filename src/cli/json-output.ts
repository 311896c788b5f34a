/** The output of `--json`: one line a result, every name in snake_case, as in documents and in the log. */

import { separated } from '../lib/letter-cases.ts';

/** Records whose names are not ours: a document's fields, a checkpoint's components. */
const FOREIGN_RECORDS: ReadonlySet<string> = new Set(['parameters', 'request', 'components']);

export function jsonLine(value: unknown): string {
  return JSON.stringify(inSnakeCase(value));
}

function inSnakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inSnakeCase);
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      separated(name, '_'),
      FOREIGN_RECORDS.has(name) ? one : inSnakeCase(one),
    ]),
  );
}

/** Dates and the like say themselves what they are in JSON. */
function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
