/** A request for the log: prompts belong to the user, so only their lengths are logged. */
import { NO_LIMITS } from './limits.ts';
import type { FieldTable, FieldValue, Resolved } from './request-field.ts';

/** @returns the values by their names in documents, as everything in a log has them, and a text as `<name>_length`. Fields without a value are left out */
export function loggedRequest<Table extends FieldTable>(
  table: Table,
  request: Resolved<Table>,
): Readonly<Record<string, FieldValue>> {
  const values: Readonly<Record<string, FieldValue | null>> = request;
  return Object.fromEntries(
    Object.entries<FieldTable[string]>(table).flatMap(
      ([name, { wire, flag, type }]): (readonly [string, FieldValue])[] => {
        const value = values[name] ?? null;
        if (value === null) return [];
        const isText = type(NO_LIMITS).verbatim === true && typeof value === 'string';
        return isText ? [[`${flag?.name ?? wire}_length`, value.length]] : [[wire, value]];
      },
    ),
  );
}
