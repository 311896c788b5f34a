/**
 * A request between the parent and the engine child, by the table of fields. Kinds only: the document's rules have checked the ranges, and a
 * message that is refused here ends the engine and all its jobs.
 */
import { z } from 'zod';
import type { JsonSchema } from '../job/field-types.ts';
import { NO_LIMITS } from '../job/limits.ts';
import type { FieldTable, Resolved } from '../job/request-field.ts';

/** @returns a schema of the resolved request */
export function requestSchemaOf<Table extends FieldTable>(table: Table): z.ZodType<Resolved<Table>> {
  const kinds = Object.entries<FieldTable[string]>(table).map(([name, { type, default: fallback }]) => {
    const kind = kindOf(type(NO_LIMITS).json);
    return [name, fallback === null ? kind.nullable() : kind];
  });
  // zod cannot infer a type from keys that are known at run time only.
  return z.object(Object.fromEntries(kinds)) as unknown as z.ZodType<Resolved<Table>>;
}

function kindOf({ type, items }: JsonSchema): z.ZodType {
  switch (type) {
    case 'integer':
      return z.number().int();
    case 'number':
      return z.number();
    case 'string':
      return z.string();
    case 'boolean':
      return z.boolean();
    case 'array':
      return z.array(items === undefined ? z.unknown() : kindOf(items));
  }
}
