/** `_id` as the driver gives it ⇄ the service's `DocumentId`. */
import { Binary, BSON, Double, Int32, Long, ObjectId, UUID } from 'mongodb';
import { type DocumentId, canonicalEjsonOf } from '../../job/document-id.ts';

export function documentIdOf(given: unknown): DocumentId {
  // As values when they were read with their widths.
  const value = given instanceof Int32 || given instanceof Double ? given.valueOf() : given;
  if (value instanceof ObjectId) return { kind: 'object_id', hex: value.toHexString() };
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { kind: 'integer', decimal: String(value) };
  if (value instanceof Long) return { kind: 'integer', decimal: value.toString() };
  if (value instanceof Binary && value.sub_type === Binary.SUBTYPE_UUID)
    return { kind: 'uuid', hyphenated: new UUID(value.buffer).toHexString(true) };
  if (typeof value === 'string') return { kind: 'string', value };
  return { kind: 'other', canonicalEjson: BSON.EJSON.stringify(value, { relaxed: false }) ?? '{"$undefined":true}' };
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

/**
 * Whether the value surely names its document when it is sent back. Not so for text that was not UTF-8 (the driver reads U+FFFD), and for
 * sub-documents, whose fields JavaScript may have put into another order.
 */
export function namesItsDocument(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\uFFFD');
  return documentIdOf(value).kind !== 'other';
}

/** Which document anywhere this is: canonical EJSON of `{database, collection, _id}`. */
export function docKeyOf(place: { readonly database: string; readonly collection: string }, id: DocumentId): string {
  return `${JSON.stringify({ database: place.database, collection: place.collection }).slice(0, -1)},"_id":${canonicalEjsonOf(id)}}`;
}

/** What the text of a `prompt_id` may stand for: an operator types what he was shown. */
export function idsOfText(text: string): readonly unknown[] {
  const candidates: unknown[] = [text];
  if (/^[0-9a-f]{24}$/i.test(text)) candidates.unshift(ObjectId.createFromHexString(text));
  else if (/^-?\d{1,19}$/.test(text)) candidates.unshift(Long.fromString(text));
  else if (UUID.isValid(text)) candidates.unshift(UUID.createFromHexString(text.replaceAll('-', '')));
  else if (/^[{[]|^(?:null|true|false)$/.test(text)) candidates.unshift(...parsedEjson(text));
  return candidates;
}

function parsedEjson(text: string): readonly unknown[] {
  try {
    return [BSON.EJSON.parse(text, { relaxed: false })];
  } catch {
    return [];
  }
}
