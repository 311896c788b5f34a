/**
 * Writes the file that the user named: all or nothing, by a temporary file beside it and a rename.
 */
import { randomBytes } from 'node:crypto';
import { access, constants, open, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';

/**
 * Proves before the drawing that `path` can be written, by making and removing a file beside it.
 * @throws `not_found` when its folder does not exist, `store_unwritable`, `disk_full`
 */
export async function checkWritable(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) {
    throw new Text2ImgError(
      'store_unwritable',
      `The output ${JSON.stringify(path)} is a folder; name a file, like ${JSON.stringify(join(path, 'x.png'))}.`,
    );
  }
  // A file that may not be written is not replaced either, though the folder's permissions would allow it.
  await access(path, constants.W_OK).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw describe(error, path);
  });
  const probe = temporaryName(path);
  // One byte, because a full disk still makes empty files.
  await writeWhole(probe, new Uint8Array(1), path);
  await unlink(probe);
}

/** @throws `store_unwritable`, `disk_full`, `not_found` */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryName(path);
  await writeWhole(temporary, bytes, path);
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw describe(error as NodeJS.ErrnoException, path);
  }
}

function temporaryName(path: string): string {
  // Cut, because the name with its ending may not be longer than 255 bytes.
  return join(dirname(path), `.${basename(path).slice(0, 40)}.${randomBytes(6).toString('hex')}.tmp`);
}

async function writeWhole(temporary: string, bytes: Uint8Array, path: string): Promise<void> {
  try {
    const handle = await open(temporary, 'wx');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw describe(error as NodeJS.ErrnoException, path);
  }
}

function describe(error: NodeJS.ErrnoException, path: string): Text2ImgError {
  const quoted = JSON.stringify(path);
  const code = error.code ?? '';
  if (['ENOENT', 'ENOTDIR'].includes(code))
    return new Text2ImgError('not_found', `The folder of the output ${quoted} does not exist.`, { cause: error });
  if (['ENOSPC', 'EDQUOT'].includes(code))
    return new Text2ImgError('disk_full', `No space is left for the output ${quoted}.`, { cause: error });
  return new Text2ImgError('store_unwritable', `The output ${quoted} cannot be written: ${error.message}.`, {
    cause: error,
  });
}
