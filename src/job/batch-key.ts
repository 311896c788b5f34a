/** Which images may share a pass of the network, as far as their requests say it. A family adds what only it knows. */
import type { FieldTable, FieldValue, Resolved } from './request-field.ts';
import { REQUEST_FIELDS } from './request-fields.ts';

/** For the fields of `table`. @returns a function whose results are equal where two requests may share a pass */
export function batchKeyOf<Table extends FieldTable>(table: Table): (request: Resolved<Table>) => string {
  const shared = Object.entries<FieldTable[string]>(table).filter(([, field]) => 'batchKey' in field);
  return (request) => {
    const values: Readonly<Record<string, FieldValue | null>> = request;
    const keys = shared.map(([name, field]) => {
      const value = values[name] ?? null;
      return value === null ? null : field.batchKey?.(value);
    });
    // As JSON, so that a comma in one value is not two values.
    return JSON.stringify(keys);
  };
}

export const batchKey = batchKeyOf(REQUEST_FIELDS);
