/** SQLite's errors as ours: what is only locked, what has no room, and what is damaged for good. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDiskFull, messageOf, systemCode } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { Text2ImgError } from '../../errors/text2img-error.ts';

/** Result codes of sqlite.org/rescode.html; the extended ones have these in their low byte. */
const CODE = {
  error: 1,
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;
const READ_ONLY_MOVED = 1032;
/** The index of the write-ahead log has 32 KiB, the log a few pages. */
const SIDE_FILES_BYTES = 64 * 1024;

/** Another process holds the file for the moment. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === CODE.busy || code === CODE.locked;
}

/** @throws nothing */
export function queueError(error: unknown, path: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const queue = `the queue ${quote(path, 300)}`;
  const code = primaryCode(error);
  const of = (sentence: string, kind: 'queue_failed' | 'queue_damaged' | 'disk_full' = 'queue_failed'): Text2ImgError =>
    new Text2ImgError(kind, sentence, { cause: error });
  if (code === CODE.full || isDiskFull(error) || (code === CODE.ioError && hasNoSpace(path)))
    return of(`no space is left for ${queue}.`, 'disk_full');
  if (code === CODE.notADatabase)
    return of(`${quote(path, 300)} is no SQLite database, so it is not a queue.`, 'queue_damaged');
  if (code === CODE.corrupt) return of(`the file of ${queue} is damaged: ${messageOf(error)}.`, 'queue_damaged');
  if (resultCode(error) === READ_ONLY_MOVED)
    return of(`the file of ${queue} was removed or replaced.`, 'queue_damaged');
  if (code === CODE.error && /no such (?:table|column)/.test(messageOf(error)))
    return of(`${queue} was changed by another program: ${messageOf(error)}.`, 'queue_damaged');
  if (isBusy(error)) return of(`${queue} is locked by another process.`);
  if (code === CODE.readOnly || systemCode(error) === 'EACCES')
    return of(`${queue} may not be written by this user: ${messageOf(error)}; choose another folder with --data-dir.`);
  return of(`${queue} cannot be used: ${messageOf(error)}.`);
}

/**
 * SQLite says "disk I/O error" where the small files beside the queue do not fit, as a queue cannot be opened then at all. The file system tells that from a disk that
 * is broken.
 */
function hasNoSpace(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < SIDE_FILES_BYTES;
  } catch {
    return false;
  }
}

function resultCode(error: unknown): number | undefined {
  const code = (error as { readonly errcode?: unknown } | undefined)?.errcode;
  return typeof code === 'number' ? code : undefined;
}

function primaryCode(error: unknown): number | undefined {
  const code = resultCode(error);
  return code === undefined ? undefined : code & 0xff;
}
