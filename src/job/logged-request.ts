/** A request for the log: prompts belong to the user, so only their lengths are logged. */
import { NO_LIMITS } from './limits.ts';
import type { FieldTable, FieldValue, Resolved } from './request-field.ts';

/** @returns the values by their names in documents, as everything in a log has them, and a text as `<name>_length` */
export function loggedRequest<Table extends FieldTable>(
  table: Table,
  request: Resolved<Table>,
): Readonly<Record<string, FieldValue | null>> {
  const values: Readonly<Record<string, FieldValue | null>> = request;
  return Object.fromEntries(
    Object.entries<FieldTable[string]>(table).map(([name, { wire, flag, type }]) => {
      const value = values[name] ?? null;
      return type(NO_LIMITS).verbatim === true && typeof value === 'string'
        ? [`${flag?.name ?? wire}_length`, value.length]
        : [wire, value];
    }),
  );
}
