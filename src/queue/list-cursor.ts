/**
 * The places of jobs in a list. A cursor is opaque to the caller. Each queue writes into it what finds the place again, and refuses the other's.
 * A cursor stays valid when jobs are added, end or are removed.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';

/** The most jobs of one page. */
export const LARGEST_PAGE = 1000;
/** None of our places is longer. */
const MAX_CURSOR_LENGTH = 8192;
const SHOWN_LENGTH = 100;

export type QueueKind = 'mongo' | 'sqlite';

export function cursorOf(kind: QueueKind, place: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([kind, ...place])).toString('base64url');
}

/** @returns the place that `cursorOf` was given; it may be forged @throws `invalid_cursor` */
export function placeOf(kind: QueueKind, cursor: string): readonly unknown[] {
  const [found, ...place] = contentOf(cursor);
  if (found !== kind) throw invalidCursor(cursor);
  return place;
}

export function invalidCursor(cursor: string): Text2ImgError {
  return new Text2ImgError(
    'invalid_cursor',
    `The cursor ${quote(cursor, SHOWN_LENGTH)} is not of a list of this queue. Give the "cursor" of a job that "text2img jobs list --json" printed, or the "next_cursor" of the HTTP API.`,
  );
}

function contentOf(cursor: string): readonly unknown[] {
  if (cursor.length > MAX_CURSOR_LENGTH || !/^[\w-]+$/.test(cursor)) return [];
  try {
    const content: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(content) ? content : [];
  } catch {
    return [];
  }
}
