/** The system's errors about the folder or one of its files, as ours. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isDiskFull, messageOf, systemCode } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { FileError } from '../../lib/plain-file.ts';

/** In a folder with the sticky bit (`/tmp`, shared volumes) only a file's owner, or the folder's, may replace it. Undefined: nothing is known against it. */
export async function belongsToAnother(path: string): Promise<string | undefined> {
  const me = process.geteuid?.();
  if (me === undefined || me === 0) return undefined;
  const file = await stat(path).catch(() => undefined);
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (file === undefined || folder === undefined) return undefined;
  if ((folder.mode & 0o1000) === 0 || file.uid === me || folder.uid === me) return undefined;
  return `${quote(path)} belongs to user ${file.uid}, and this is user ${me}`;
}

/** The system's errors for one file that may not be read or written. The folder may still take others. */
const REFUSALS: ReadonlySet<string | undefined> = new Set([
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ENOTEMPTY',
  'ENAMETOOLONG',
  'ELOOP',
  'ENXIO',
]);

export function isRefusal(error: unknown): boolean {
  if (error instanceof FileError) return !['missing', 'disk-full', 'other'].includes(error.fault);
  return REFUSALS.has(systemCode(error));
}

export function storeError(error: unknown, root: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const cause = { cause: error };
  if (isDiskFull(error) || (error instanceof FileError && error.fault === 'disk-full'))
    return new Text2ImgError('disk_full', `no space is left in ${root}.`, cause);
  if (isRefusal(error))
    return new Text2ImgError('store_unwritable', `the folder ${root} cannot be written: ${messageOf(error)}.`, cause);
  return new Text2ImgError('store_failed', `the folder ${root} cannot be used: ${messageOf(error)}.`, cause);
}
