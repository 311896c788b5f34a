/** Compares a blob of the cache with the hub's size and checksum. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { HubFile } from './hub-answers.ts';

/** `size`: a start, which must not read gigabytes first; small files are read all the same. `digest`: everything, when the user asks for the model. */
export type BlobCheck = 'size' | 'digest';

export type BlobState = 'whole' | 'missing' | 'damaged';

export async function blobState(path: string, file: HubFile, check: BlobCheck): Promise<BlobState> {
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined) return 'missing';
  if (!facts.isFile() || facts.size !== file.sizeBytes) return 'damaged';
  if (file.isLarge && check === 'size') return 'whole';
  return (await sumOf(file, path)) === file.blob ? 'whole' : 'damaged';
}

/** SHA-256 of a large file; of a small one what git calls it: a sum over a header and the bytes. */
export async function sumOf({ isLarge, sizeBytes, blob }: HubFile, path: string): Promise<string> {
  const hash: Hash = isLarge
    ? createHash('sha256')
    : createHash(blob.length === 64 ? 'sha256' : 'sha1').update(`blob ${sizeBytes}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
