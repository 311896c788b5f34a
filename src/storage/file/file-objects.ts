/** An image as it lies in the folder, with its entry beside it. */
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { HeldLock } from '../../lib/file-lock.ts';
import { FileError, readPlainFile } from '../../lib/plain-file.ts';
import { whoseObject } from '../doc-key.ts';
import { createDurably, removeDurably, replaceDurably } from './durable-files.ts';
import type { ImageMetadata, ImageObject, RemoveOutcome } from '../image-store.ts';

const entriesSchema = z.record(
  z.string(),
  z.object({ runId: z.string(), docKey: z.string(), seed: z.number(), model: z.string() }),
);
type Entries = Record<string, ImageMetadata>;

/** Where entries and locks lie, in each folder of images. */
export const META_FOLDER = '.meta';
/** A larger file is none of our images. */
const MAX_READ_BYTES = 2 ** 30;
/** Each time somebody else had replaced the image meanwhile. */
export const MAX_LOOKS = 8;

export function entriesPath(path: string): string {
  return join(dirname(path), META_FOLDER, `${basename(path)}.json`);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface Writing {
  readonly object: ImageObject;
  /** Entries that stay until the image is there. */
  readonly before: Entries;
  readonly lock: HeldLock;
}

/** Entry first, image second, old entries last. */
export async function writeObject(path: string, { object, before, lock }: Writing): Promise<void> {
  const { png, metadata } = object;
  const entry = { [sha256(png)]: metadata };
  // A worker that was frozen for longer than its lock lives must not write over what was written since.
  const check = (): Promise<void> => lock.check();
  await replaceDurably(entriesPath(path), jsonBytes({ ...before, ...entry }), check);
  const isNew = Object.keys(before).length === 0;
  await (isNew ? createDurably(path, png, check) : replaceDurably(path, png, check));
  if (!isNew) await replaceDurably(entriesPath(path), jsonBytes(entry), check);
}

/** The image first, its entry second: after a crash in between the image is gone, and the next one brings an entry of its own. */
export async function removeObject(
  path: string,
  { docKey, lock }: { readonly docKey: string; readonly lock: HeldLock },
): Promise<RemoveOutcome> {
  const stored = await readStored(path);
  if (stored === undefined) return 'absent';
  const { metadata } = stored;
  if (metadata === undefined || whoseObject(metadata.docKey, docKey) !== 'same') return 'foreign';
  await lock.check();
  await removeDurably(path);
  await removeDurably(entriesPath(path));
  return 'removed';
}

export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export async function readEntries(path: string): Promise<Entries> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return {};
  try {
    return entriesSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // Somebody else's file: the image counts as a stranger's.
    return {};
  }
}

interface StoredImage {
  readonly bytes: Uint8Array;
  /** SHA-256, in hexadecimal digits. */
  readonly sum: string;
  readonly metadata: ImageMetadata | undefined;
}

/** A put may replace the image and its entry between the two looks: then it is another image when it is looked at again. */
export async function readStored(path: string, maxBytes = MAX_READ_BYTES): Promise<StoredImage | undefined> {
  let before: string | undefined;
  for (let look = 1; ; look++) {
    const bytes = await readIfThere(path, maxBytes);
    if (bytes === undefined) return undefined;
    const sum = sha256(bytes);
    const metadata = (await readEntries(entriesPath(path)))[sum];
    if (metadata !== undefined || sum === before || look === MAX_LOOKS) return { bytes, sum, metadata };
    before = sum;
  }
}

export async function readIfThere(path: string, maxBytes = MAX_READ_BYTES): Promise<Uint8Array | undefined> {
  try {
    return await readPlainFile(path, maxBytes);
  } catch (error) {
    if (error instanceof FileError && error.fault === 'missing') return undefined;
    throw error;
  }
}
