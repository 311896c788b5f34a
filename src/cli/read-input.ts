/**
 * Reads files that the user named on the command line.
 */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { FileError, readPlainFile } from '../lib/plain-file.ts';

/** More than any image has. */
const MAX_BYTES = 512 * 1024 * 1024;

/** @param option how the user named it, for the error @throws `not_found`, `unreadable_file` */
export async function readNamedFile(path: string, option: string): Promise<Uint8Array> {
  try {
    return await readPlainFile(path, MAX_BYTES);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const code = error.fault === 'missing' ? 'not_found' : 'unreadable_file';
    throw new Text2ImgError(code, `${option} ${error.message}.`, { cause: error });
  }
}
