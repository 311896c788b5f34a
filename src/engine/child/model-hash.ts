/**
 * The model's hash as the usual tools show it: the first ten hex digits of the SHA-256 of its one weight file. A cache of the hub names its files by
 * their SHA-256, so there it is known at once; so is a small file's. Any other file is hashed once, after the first image, by a thread of the lowest priority.
 */
import { basename, dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { rememberedDigest } from '../../runtime/cache-entries.ts';
import type { FileIdentity, VerifyCache } from '../../runtime/file-digest.ts';

export interface DigestMemory {
  /** The compile cache's, where digests are kept with the identity of their files; null: nothing is kept. */
  readonly folder: string | null;
  readonly verify: VerifyCache;
}

const THREAD = new URL(
  import.meta.url.endsWith('.ts') ? './model-hash-thread.ts' : './model-hash-thread.js',
  import.meta.url,
);
/** AUTOMATIC1111's web UI: modules/sd_models.py, `shorthash`. */
const HASH_LENGTH = 10;

export function modelHashOf(sha256: string): string {
  return sha256.slice(0, HASH_LENGTH);
}

/**
 * Finds the hash without reading the weights: in the name of the file, or in the digests that were kept.
 * @param files real paths of the files that the denoising network comes from
 * @returns null where there is no one file, undefined where it has to be read
 */
export async function knownModelHash(
  files: ReadonlySet<string>,
  { folder, verify }: DigestMemory,
): Promise<string | null | undefined> {
  const [file, ...others] = files;
  if (file === undefined || others.length > 0) return null;
  const sha256 = digestInName(file) ?? (folder === null ? undefined : await rememberedDigest(folder, file, verify));
  return sha256 === undefined ? undefined : modelHashOf(sha256);
}

/** The hub's cache keeps large files as `blobs/<SHA-256>`. */
function digestInName(file: string): string | undefined {
  const name = basename(file);
  return basename(dirname(file)) === 'blobs' && /^[0-9a-f]{64}$/.test(name) ? name : undefined;
}

/** The file that was loaded. */
export interface LoadedFile {
  readonly path: string;
  /** As it was loaded: of one that was replaced since there is nothing to say. */
  readonly identity: FileIdentity;
}

/** Reads the file beside everything else. It keeps no process alive, and a file that cannot be read has no hash. */
export function hashInBackground(file: LoadedFile, memory: DigestMemory, onHash: (modelHash: string) => void): void {
  const thread = new Worker(THREAD, { workerData: { file, memory } });
  thread.unref();
  thread.on('message', (sha256: string) => onHash(modelHashOf(sha256)));
  // There is nothing that anybody waits for.
  thread.on('error', () => undefined);
}
