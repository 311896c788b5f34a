/**
 * Places in the list of jobs. A place is an `_id`, compared across types in the order of the index. Some `_id`s do not survive JavaScript: their
 * documents are counted from the last exact place.
 */
import { BSON } from 'mongodb';
import { canonicalEjsonOf } from '../../job/document-id.ts';
import { cursorOf, invalidCursor, placeOf } from '../list-cursor.ts';
import { canBeSent, documentIdOf } from './bson-ids.ts';
import { literal } from './expressions.ts';
import type { PromptFilter } from './statement-types.ts';

export interface ListPlace {
  /** Canonical EJSON of an `_id`; undefined: the front. */
  readonly behind: string | undefined;
  /** So many documents behind it. */
  readonly skip: number;
}

/** Longer ones are counted. */
const MAX_ID_LENGTH = 4096;
const MAX_SKIP = 1_000_000;

export const FRONT: ListPlace = { behind: undefined, skip: 0 };

/** The place behind a document that comes next after `before`. */
export function placeBehind(id: unknown, { behind, skip }: ListPlace): ListPlace {
  const exact = exactEjson(id);
  return exact === undefined ? { behind, skip: skip + 1 } : { behind: exact, skip: 0 };
}

export function filterBehind({ behind }: ListPlace): PromptFilter {
  return behind === undefined ? {} : { $expr: { $lt: ['$_id', literal(parsed(behind))] } };
}

/** All before that place, and the document there. */
export function upTo({ behind }: ListPlace): PromptFilter {
  return behind === undefined ? {} : { $expr: { $gte: ['$_id', literal(parsed(behind))] } };
}

export function cursorOfPlace({ behind, skip }: ListPlace): string {
  return cursorOf('mongo', [behind ?? null, skip]);
}

/** @throws `invalid_cursor` */
export function placeOfCursor(cursor: string): ListPlace {
  const [behind, skip, ...others] = placeOf('mongo', cursor);
  const isSkip = typeof skip === 'number' && Number.isSafeInteger(skip) && skip >= 0 && skip <= MAX_SKIP;
  if (!isSkip || others.length > 0 || (behind !== null && typeof behind !== 'string')) throw invalidCursor(cursor);
  if (behind === null) return { behind: undefined, skip };
  try {
    if (canBeSent(parsed(behind))) return { behind, skip };
  } catch {
    // No EJSON.
  }
  throw invalidCursor(cursor);
}

function exactEjson(id: unknown): string | undefined {
  // Text that was not UTF-8 is read as another one, and JavaScript may order the fields of a sub-document anew.
  if (typeof id === 'string' ? id.includes('\uFFFD') : isPlain(id)) return undefined;
  try {
    const ejson = canonicalEjsonOf(documentIdOf(id));
    return ejson.length <= MAX_ID_LENGTH && canBeSent(parsed(ejson)) ? ejson : undefined;
  } catch {
    return undefined;
  }
}

function isPlain(id: unknown): boolean {
  if (typeof id !== 'object' || id === null) return false;
  return Array.isArray(id) || [Object.prototype, null].includes(Object.getPrototypeOf(id));
}

function parsed(ejson: string): unknown {
  return BSON.EJSON.parse(ejson, { relaxed: false });
}
