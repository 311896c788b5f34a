/**
 * The rules for documents that are added to either queue. Each document is kept exactly as it was given, or it is refused. MongoDB's BSON and JSON
 * text do not keep the same values, so each rule is the narrower of the two. A document that one queue accepts, the other accepts too.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { canonicalEjsonOf, type DocumentId, promptIdText } from '../job/document-id.ts';
import { isRecord } from '../lib/foreign-record.ts';
import { quote } from '../lib/foreign-text.ts';
import type { EnqueueOptions, RawPromptDocument } from './prompt-queue.ts';

/** The end of each refusal; a queue that could not take all back says so instead. */
export const NOTHING_ADDED = 'Nothing was added.';

/** MongoDB's own limit. */
const MAX_DEPTH = 100;

export interface AddedDocument {
  /** undefined: none was given, and the queue makes one. `other`: not one that both queues know; `_id` as it was given. */
  readonly id: DocumentId | undefined | { readonly kind: 'foreign'; readonly value: unknown };
  /** Without `_id`. A `job` in it is not read: the service's own state stands in its place. */
  readonly fields: RawPromptDocument;
}

export interface NamedDocument extends AddedDocument {
  /** How it is called in an error. */
  readonly name: string;
}

/** Each by itself, and that no `_id` is given twice. @param nameOf as `PromptQueue.enqueue` has it @throws `invalid_document` */
export function checkAddedDocuments(
  documents: readonly RawPromptDocument[],
  { nameOf = defaultName, enqueueId }: EnqueueOptions = {},
): readonly NamedDocument[] {
  const keys = new Set<string>();
  return documents.map((document, index) => {
    const name = nameOf(index);
    const added = checkAddedDocument(document, name);
    const key = keyOf(added.id);
    if (enqueueId !== undefined && key === undefined)
      throw new Text2ImgError(
        'invalid_document',
        `${name}: it has no _id, so adding it could not be repeated. ${NOTHING_ADDED}`,
      );
    if (key !== undefined && keys.has(key))
      throw new Text2ImgError(
        'invalid_document',
        `${name}: the _id ${quote(shownId(added.id))} is used twice. ${NOTHING_ADDED}`,
      );
    if (key !== undefined) keys.add(key);
    return { ...added, name };
  });
}

/** As JSON: 7 is not "7". */
function keyOf(id: AddedDocument['id']): string | undefined {
  if (id === undefined) return undefined;
  return id.kind === 'foreign' ? JSON.stringify(id.value) : canonicalEjsonOf(id);
}

function shownId(id: AddedDocument['id']): unknown {
  return id === undefined || id.kind === 'foreign' ? id?.value : promptIdText(id);
}

/** @param name how the document is called in an error @throws `invalid_document` */
function checkAddedDocument({ _id, ...fields }: RawPromptDocument, name: string): AddedDocument {
  const refuse = (why: string): Text2ImgError =>
    new Text2ImgError('invalid_document', `${name}: ${why} ${NOTHING_ADDED}`);
  const status: unknown = fields['status'];
  if (status !== undefined && status !== 'pending')
    throw refuse(`"status" is ${quote(status)}; allowed is "pending" or nothing.`);
  for (const [field, value] of Object.entries(fields)) {
    const fault = faultOfName(field) ?? faultOf(value, 1);
    if (fault !== undefined) throw refuse(`the field ${quote(field)} ${fault}`);
  }
  const id = givenId(_id);
  const idFault = id === undefined || id.kind === 'object_id' ? undefined : faultOfId(_id);
  if (idFault !== undefined) throw refuse(`"_id" ${idFault}`);
  return { id, fields };
}

/** `name` for each of many documents. */
function defaultName(index: number): string {
  return `document ${index + 1}`;
}

/** @throws `invalid_document` */
export function alreadyThere(name: string, id: string): Text2ImgError {
  return new Text2ImgError(
    'invalid_document',
    `${name}: a document with the _id ${quote(id)} is in the queue already. ${NOTHING_ADDED}`,
  );
}

/** Null counts as absent, as in all our fields. */
function givenId(value: unknown): AddedDocument['id'] {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return { kind: 'string', value };
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { kind: 'integer', decimal: String(value) };
  const hex = isRecord(value) && Object.keys(value).length === 1 ? value['$oid'] : undefined;
  if (typeof hex === 'string' && /^[0-9a-f]{24}$/i.test(hex)) return { kind: 'object_id', hex: hex.toLowerCase() };
  return { kind: 'foreign', value };
}

function faultOfId(value: unknown): string | undefined {
  if (value === '') return 'is empty; leave it out, and one is made.';
  if (Array.isArray(value)) return `is ${quote(value)}; allowed are texts and whole numbers.`;
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
    return `is ${value}, which is beyond ±(2^53 − 1) and would be changed; give it as a text.`;
  if (typeof value === 'string' && value.includes('\0'))
    return 'has the character U+0000 in it, which no command can name.';
  if (hasDollarName(value))
    return `is ${quote(value)}; in an _id no name may begin with "$", but for {"$oid": 24 hex digits}.`;
  return faultOf(value, 1);
}

/** MongoDB stores no such `_id`, however deep the name stands. The search ends at `MAX_DEPTH`, because a deeper value is refused anyway. */
function hasDollarName(value: unknown, depth = 1): boolean {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return false;
  return Object.entries(value).some(
    ([name, element]) => (!Array.isArray(value) && name.startsWith('$')) || hasDollarName(element, depth + 1),
  );
}

/** Why the value could not be kept as it is, as the rest of a sentence. Undefined if it can be kept. */
function faultOf(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string')
    return value.isWellFormed() ? undefined : 'has half of a surrogate pair in its text, which cannot be stored.';
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `is ${value}; allowed are finite numbers.`;
  if (typeof value !== 'object' || value === null)
    return value === null || typeof value === 'boolean' ? undefined : `is ${quote(value)}, which JSON does not have.`;
  if (depth >= MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels, which MongoDB does not store.`;
  for (const [name, element] of Object.entries(value)) {
    const fault = (Array.isArray(value) ? undefined : faultOfName(name)) ?? faultOf(element, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultOfName(name: string): string | undefined {
  if (name.includes('\0')) return 'has a name with the character U+0000 in it, which MongoDB does not store.';
  if (!name.isWellFormed()) return 'has a name with half of a surrogate pair in it, which cannot be stored.';
  if (name === '_bsontype')
    return 'has the name "_bsontype" in it, which the drivers of MongoDB take for a type of their own.';
  return undefined;
}
