/**
 * Reads files that the user named on the command line.
 */
import { readFile } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';

/** @param option how the user named it, for the error @throws `not_found`, `unreadable_file` */
export async function readNamedFile(path: string, option: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Text2ImgError('not_found', `${option} ${JSON.stringify(path)} does not exist.`, { cause: error });
    throw new Text2ImgError('unreadable_file', `${option} ${JSON.stringify(path)} cannot be read: ${message}.`, {
      cause: error,
    });
  }
}
