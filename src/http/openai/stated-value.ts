/** Values of a request's fields as clients write them: forms send numbers and booleans as text, and null or an empty text means none. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import type { FieldType } from '../../job/field-types.ts';
import { NO_LIMITS } from '../../job/limits.ts';
import type { FieldTable } from '../../job/request-field.ts';
import { REQUEST_FIELDS } from '../../job/request-fields.ts';
import { quote } from '../../lib/foreign-text.ts';

/** In a sentence. */
const QUOTED_LENGTH = 80;

const TYPES: ReadonlyMap<string, FieldType<unknown>> = new Map(
  Object.values<FieldTable[string]>(REQUEST_FIELDS).map(({ wire, type }) => [wire, type(NO_LIMITS)]),
);

/** @returns the value as a document takes it, or what the client wrote where it cannot be read; undefined where it counts as absent */
export function statedValue(wire: string, value: unknown): unknown {
  const type = TYPES.get(wire);
  if (value === null || value === undefined || type === undefined) return undefined;
  if (typeof value !== 'string' || wire === REQUEST_FIELDS.prompt.wire) return value;
  if (value.trim() === '') return undefined;
  return type.json.type === 'string' ? value : (type.readText(value) ?? value);
}

/** @throws `invalid_parameter` */
export function readFlag(name: string, value: unknown): boolean {
  if (value === null || value === undefined || value === '') return false;
  if (typeof value === 'boolean') return value;
  const flag = typeof value === 'string' ? value.trim().toLowerCase() : undefined;
  if (flag === 'true' || flag === 'false') return flag === 'true';
  throw refusedValue(name, value, 'true and false');
}

export interface ChoiceOptions<T extends string> {
  readonly allowed: readonly T[];
}

/** One of a few words. @throws `invalid_parameter` */
export function readChoice<T extends string>(
  name: string,
  value: unknown,
  { allowed }: ChoiceOptions<T>,
): T | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  const chosen = allowed.find((word) => word === value);
  if (chosen !== undefined) return chosen;
  throw refusedValue(name, value, allowed.map((word) => quote(word)).join(' and '));
}

/** @throws `invalid_parameter` */
export function readWhole(name: string, value: unknown, { max }: { readonly max: number }): number | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  const number = typeof value === 'string' && /^\s*\d{1,9}(?:\.0*)?\s*$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= max) return number;
  throw refusedValue(name, value, `whole numbers from 0 to ${max}`);
}

/** A refusal begins with the field's name in quotation marks: `errors.ts` reads it there. */
export function refusedValue(name: string, value: unknown, allowed: string): Text2ImgError {
  return new Text2ImgError('invalid_parameter', `"${name}" is ${quote(value, QUOTED_LENGTH)}; allowed are ${allowed}.`);
}
