/** Reads from a place in a file until the buffer is full: one call of `read` may give less. */
import type { FileHandle } from 'node:fs/promises';

/** @returns the number of bytes that were there: fewer than asked for only where the file ends */
export async function readFully(handle: FileHandle, bytes: Uint8Array, at: number): Promise<number> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, at + done);
    if (bytesRead === 0) return done;
    done += bytesRead;
  }
  return bytes.length;
}
