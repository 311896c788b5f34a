/** `_id` as the driver gives it ⇄ the service's `DocumentId`. Nothing here throws for any value that BSON allows. */
import { Binary, BSON, Double, Int32, Long, ObjectId, Timestamp, UUID } from 'mongodb';
import type { DocumentId } from '../../job/document-id.ts';
import { quote } from '../../lib/foreign-text.ts';

const UUID_BYTES = 16;
const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const;

export function documentIdOf(given: unknown): DocumentId {
  // As values when they were read with their widths.
  const value = given instanceof Int32 || given instanceof Double ? given.valueOf() : given;
  if (value instanceof ObjectId) return { kind: 'object_id', hex: value.toHexString() };
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { kind: 'integer', decimal: String(value) };
  // A Timestamp is a Long to JavaScript, and another type to the database.
  if (value instanceof Long && !(value instanceof Timestamp)) return { kind: 'integer', decimal: value.toString() };
  if (value instanceof Binary && value.sub_type === Binary.SUBTYPE_UUID && value.length() === UUID_BYTES)
    return { kind: 'uuid', hyphenated: hyphenated(value) };
  if (typeof value === 'string') return { kind: 'string', value };
  return { kind: 'other', canonicalEjson: canonicalEjson(value) };
}

function hyphenated(value: Binary): string {
  const hex = Buffer.from(value.value()).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** EJSON cannot express some values (a field `_bsontype`, a UUID of 5 bytes). People see a description instead, and the prompt fails under it. */
function canonicalEjson(value: unknown): string {
  try {
    return BSON.EJSON.stringify(value, { relaxed: false }) ?? '{"$undefined":true}';
  } catch {
    return quote(value);
  }
}

/** MongoDB compares numbers by value, so the width of an integer does not matter in a filter. */
export function bsonIdOf(id: DocumentId): unknown {
  switch (id.kind) {
    case 'object_id':
      return ObjectId.createFromHexString(id.hex);
    case 'integer':
      return Long.fromString(id.decimal);
    case 'uuid':
      return UUID.createFromHexString(id.hyphenated.replaceAll('-', ''));
    case 'string':
      return id.value;
    case 'other':
      return BSON.EJSON.parse(id.canonicalEjson, { relaxed: false });
  }
}

/** Whether the value names its document when it is sent back. `no`: it cannot even be sent. `maybe`: only the server can tell. */
export type Naming = 'surely' | 'maybe' | 'no';

/**
 * Not surely for text that was not UTF-8 (the driver reads U+FFFD), and for sub-documents, whose fields JavaScript may have put into another
 * order. Not at all for what EJSON cannot keep.
 */
export function namingOf(value: unknown): Naming {
  if (typeof value === 'string') return value.includes('\uFFFD') ? 'maybe' : 'surely';
  const id = documentIdOf(value);
  if (id.kind !== 'other') return 'surely';
  // A field `_bsontype` of the user's would be taken for a type of the driver's.
  if (hasTypeField(value)) return 'no';
  try {
    return canBeSent(bsonIdOf(id)) ? 'maybe' : 'no';
  } catch {
    return 'no';
  }
}

/** Whether it can stand in a filter at all. */
export function canBeSent(value: unknown): boolean {
  if (hasTypeField(value)) return false;
  try {
    BSON.calculateObjectSize({ value });
    return true;
  } catch {
    return false;
  }
}

function hasTypeField(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(hasTypeField);
  // The driver's own types have it on their prototypes.
  if (Object.hasOwn(value, '_bsontype')) return true;
  const isPlain = Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
  return isPlain && Object.values(value).some(hasTypeField);
}

/** The values that the text of a `prompt_id` may stand for. An operator types the id that we printed, or canonical EJSON. */
export function idsOfText(text: string): readonly unknown[] {
  const candidates: unknown[] = [text];
  if (/^[0-9a-f]{24}$/i.test(text)) candidates.unshift(ObjectId.createFromHexString(text));
  else if (/^-?\d{1,19}$/.test(text)) candidates.unshift(...integer(text));
  else if (UUID.isValid(text)) candidates.unshift(UUID.createFromHexString(text.replaceAll('-', '')));
  else if (/^[{["]|^(?:null|true|false)$/.test(text)) candidates.unshift(...parsedEjson(text));
  return candidates;
}

/** The `_id`s whose text may begin with `prefix`, each type in its own order. */
export function rangesOfPrefix(prefix: string): readonly { readonly $gte: unknown; readonly $lte: unknown }[] {
  const ranges: { $gte: unknown; $lte: unknown }[] = [{ $gte: prefix, $lte: `${prefix}\u{10FFFF}` }];
  const hex = prefix.replaceAll('-', '');
  if (!/^[0-9a-f]*$/.test(hex)) return ranges;
  const between = (digits: number, make: (hex: string) => unknown): void => {
    if (hex.length <= digits) ranges.push({ $gte: make(hex.padEnd(digits, '0')), $lte: make(hex.padEnd(digits, 'f')) });
  };
  if (!prefix.includes('-')) between(24, (id) => ObjectId.createFromHexString(id));
  between(32, (id) => UUID.createFromHexString(id));
  return ranges;
}

/** Nineteen digits may be more than 64 bits hold; `Long` would take them for another number. */
function integer(text: string): readonly unknown[] {
  const value = BigInt(text);
  return value >= INT64.min && value <= INT64.max ? [Long.fromBigInt(value)] : [];
}

function parsedEjson(text: string): readonly unknown[] {
  try {
    const value: unknown = BSON.EJSON.parse(text, { relaxed: false });
    return canBeSent(value) ? [value] : [];
  } catch {
    return [];
  }
}
