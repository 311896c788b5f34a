/** Objects whose keys come from outside. A look-up by a foreign name must not find what every object inherits, like `constructor`. */

/** The value under `key` if the object itself has it. */
export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** A plain object: what JSON and BSON call one. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
