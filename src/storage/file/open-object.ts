/** An image of the folder that is read piece by piece, through one open file: what is written under its name meanwhile is another file. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { quote } from '../../lib/foreign-text.ts';
import { FileError, openPlainFile } from '../../lib/plain-file.ts';
import type { BytePart, ImageMetadata } from '../image-store.ts';
import { entriesPath, MAX_LOOKS, readEntries } from './file-objects.ts';

const PIECE_BYTES = 64 * 1024;

interface Sums {
  /** In hexadecimal digits. */
  readonly sha256: string;
  /** In base64. */
  readonly md5: string;
}

export interface OpenObject extends Sums {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readonly metadata: ImageMetadata | undefined;
}

/** As `readStored`: a put may replace the image and its entry between the two looks. The caller closes the handle. @throws `FileError` */
export async function openObject(path: string, maxBytes: number): Promise<OpenObject | undefined> {
  let before: string | undefined;
  for (let look = 1; ; look++) {
    const handle = await openIfThere(path);
    if (handle === undefined) return undefined;
    try {
      const { size: sizeBytes } = await handle.stat();
      if (sizeBytes > maxBytes)
        throw new FileError('too-large', `${quote(path)} has ${sizeBytes} bytes; at most ${maxBytes} are allowed`);
      const sums = await sumsOf(handle, sizeBytes);
      const metadata = (await readEntries(entriesPath(path)))[sums.sha256];
      if (metadata !== undefined || sums.sha256 === before || look === MAX_LOOKS)
        return { handle, sizeBytes, metadata, ...sums };
      before = sums.sha256;
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
  }
}

/** @throws `FileError` where the file became shorter */
export async function* piecesOf(handle: FileHandle, { start, end }: BytePart): AsyncGenerator<Uint8Array, void> {
  for (let at = start; at <= end; ) {
    const into = Buffer.alloc(Math.min(PIECE_BYTES, end + 1 - at));
    const { bytesRead } = await handle.read(into, 0, into.length, at);
    if (bytesRead === 0) throw new FileError('other', 'the file became shorter while it was read');
    yield into.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await openPlainFile(path);
  } catch (error) {
    if (error instanceof FileError && error.fault === 'missing') return undefined;
    throw error;
  }
}

async function sumsOf(handle: FileHandle, sizeBytes: number): Promise<Sums> {
  const [sha256, md5] = [createHash('sha256'), createHash('md5')];
  for await (const piece of piecesOf(handle, { start: 0, end: sizeBytes - 1 })) {
    sha256.update(piece);
    md5.update(piece);
  }
  return { sha256: sha256.digest('hex'), md5: md5.digest('base64') };
}
