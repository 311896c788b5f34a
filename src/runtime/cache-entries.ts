/**
 * The folder of the compile cache as it lies on the disk. Each entry is a folder with a marker inside. Only folders with the marker are counted, used
 * or removed, because people point the cache at folders with other files.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, open, readdir, realpath, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { systemCode } from '../lib/disk-errors.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { readPlainFile, syncFolder, writePlainFile } from '../lib/plain-file.ts';
import {
  digestFile,
  type FileDigest,
  fileDigestSchema,
  identityOf,
  isSameFile,
  type VerifyCache,
} from './file-digest.ts';

const MARKER_FILE = 'text2img-cache-entry.json';
const DRAFT_PREFIX = 'draft-';
/** The digests of the weight files; its name sorts behind all entries. */
const DIGESTS_FOLDER = 'weights-digests';
const MARKER_BYTES = 64 * 1024;
const HOUR_MS = 3_600_000;
/** The unit of `Stats.blocks`; the file system's own unit does not count. */
const STAT_BLOCK_BYTES = 512;

const markerSchema = z.object({
  made_by: z.literal('text2img compile cache'),
  /** Empty while the entry is being made. */
  files: z.record(z.string(), fileDigestSchema),
});
type Marker = z.infer<typeof markerSchema>;

/** `unknown`: not there, or not ours. */
export type EntryState = 'good' | 'damaged' | 'unknown';

/** Whether the entry holds what was written into it. Files whose identity is the remembered one are not read. */
export async function checkEntry(entry: string, verify: VerifyCache): Promise<EntryState> {
  const marker = await readMarker(entry);
  if (marker === undefined) return 'unknown';
  let isChanged = false;
  const files: Record<string, FileDigest> = {};
  for (const [name, known] of Object.entries(marker.files)) {
    const path = join(entry, name);
    const now = await identityOf(path).catch(() => undefined);
    if (now === undefined) return 'damaged';
    files[name] = known;
    if (isSameFile(known.identity, now, verify)) continue;
    const digest = await digestFile(path);
    if (digest.sha256 !== known.sha256) return 'damaged';
    files[name] = digest;
    isChanged = true;
  }
  if (Object.keys(files).length === 0) return 'damaged';
  if (isChanged) await writeMarker(entry, { ...marker, files }).catch(() => undefined);
  return 'good';
}

/**
 * Removes other temporary folders of the entry; the caller holds its lock. Writers that were killed left them, perhaps one at every start. The folder
 * of a writer that was killed early has no marker yet; the digest in its name says which entry it belongs to.
 */
export async function removeDrafts(entry: string): Promise<void> {
  const folder = dirname(entry);
  const drafts = (await readdir(folder)).filter((name) => name.startsWith(draftPrefix(entry)));
  for (const name of drafts) await rm(join(folder, name), { recursive: true, force: true });
}

/** A folder to make an entry in, with its marker. */
export async function beginEntry(entry: string): Promise<string> {
  const draft = await mkdtemp(join(dirname(entry), draftPrefix(entry)));
  await writeMarker(draft, { made_by: 'text2img compile cache', files: {} });
  return draft;
}

function draftPrefix(entry: string): string {
  return `${DRAFT_PREFIX}${basename(entry)}-`;
}

/** Flushed, with digests, and only then under its name: a power cut leaves a whole entry or none. */
export async function finishEntry(draft: string, entry: string): Promise<void> {
  const files: Record<string, FileDigest> = {};
  for (const name of await readdir(draft)) {
    if (name === MARKER_FILE) continue;
    const path = join(draft, name);
    const handle = await open(path, 'r+');
    await handle.sync();
    await handle.close();
    files[name] = await digestFile(path);
  }
  await writeMarker(draft, { made_by: 'text2img compile cache', files });
  await syncFolder(draft);
  await rename(draft, entry).catch((error: unknown) => {
    // Another process was first.
    if (!['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw error;
  });
  await syncFolder(dirname(entry));
}

/** Removes a folder if it is ours. */
export async function removeEntry(entry: string): Promise<void> {
  if ((await readMarker(entry)) !== undefined) await rm(entry, { recursive: true, force: true });
}

/** Room for four Stable Diffusion 1.x UNets. */
const LEAST_LIMIT_BYTES = 16 * 2 ** 30;

interface WantedRoom {
  /** Of the entry that the caller makes next. */
  readonly entryBytes: number;
  /** The operator's limit. Absent: the larger of 16 GiB and twice the largest entry, but never more than the cache holds and half of what is free. */
  readonly limitBytes: number | undefined;
}

/** Removes the entries that were used least recently, and temporary folders of processes that crashed, until the new entry is within the limit. */
export async function makeRoom(folder: string, { entryBytes, limitBytes }: WantedRoom): Promise<void> {
  const entries = (await Promise.all((await readdir(folder)).map((name) => lookAt(folder, name)))).filter(
    (entry) => entry !== undefined,
  );
  const sizes = entries.filter(({ isDraft }) => !isDraft).map(({ bytes }) => bytes);
  const limit = limitBytes ?? defaultLimit({ sizes, entryBytes, freeBytes: (await freeIn(folder)) ?? Infinity });
  let kept = entryBytes;
  for (const { path, bytes, usedMs, isDraft } of entries.toSorted((a, b) => b.usedMs - a.usedMs)) {
    kept += bytes;
    const isAbandoned = isDraft && usedMs < Date.now() - HOUR_MS;
    if (isAbandoned || (!isDraft && kept > limit)) await rm(path, { recursive: true, force: true });
  }
}

interface CacheSizes extends Pick<WantedRoom, 'entryBytes'> {
  /** Of the entries that are there. */
  readonly sizes: readonly number[];
  readonly freeBytes: number;
}

/** XL's entries have 14 GB together, so 16 GiB alone would not hold two models of it. */
export function defaultLimit({ sizes, entryBytes, freeBytes }: CacheSizes): number {
  const held = sizes.reduce((sum, bytes) => sum + bytes, 0);
  return Math.min(Math.max(LEAST_LIMIT_BYTES, 2 * Math.max(entryBytes, ...sizes)), held + freeBytes / 2);
}

/** undefined: some file systems of networks do not say how large they are. */
async function freeIn(folder: string): Promise<number | undefined> {
  const { blocks, bavail, bsize } = await statfs(folder);
  return blocks === 0 ? undefined : bavail * bsize;
}

/**
 * An entry that cannot fit is not begun: until it failed it would take the room from everything else on that disk.
 * @param bytes the least size of the entry
 * @throws `disk_full`
 */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  const free = await freeIn(folder);
  if (free === undefined || free >= bytes) return;
  throw new Text2ImgError(
    'disk_full',
    `its disk has ${inMegabytes(free)} left, but the entry needs at least ${inMegabytes(bytes)}.`,
  );
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

interface FoundEntry {
  readonly path: string;
  readonly bytes: number;
  readonly usedMs: number;
  readonly isDraft: boolean;
}

async function lookAt(folder: string, name: string): Promise<FoundEntry | undefined> {
  const path = join(folder, name);
  if ((await readMarker(path)) === undefined) return undefined;
  const sizes = (await readdir(path)).map((file) =>
    stat(join(path, file)).then(
      // Windows counts no blocks.
      ({ size, blocks }) => (blocks > 0 ? blocks * STAT_BLOCK_BYTES : size),
      () => 0,
    ),
  );
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  return { path, bytes, usedMs: (await stat(path)).mtimeMs, isDraft: name.startsWith(DRAFT_PREFIX) };
}

/** The digest of a weight file; hashes it only where its identity is not the remembered one. */
export async function weightsDigest(folder: string, path: string, verify: VerifyCache): Promise<string> {
  const known = await rememberedDigest(folder, path, verify);
  if (known !== undefined) return known;
  const real = await realpath(path);
  const digest = await digestFile(real);
  // A cache that may only be read is used all the same.
  await makeFolder(join(folder, DIGESTS_FOLDER))
    .then(() => writePlainFile(digestPath(folder, real), Buffer.from(JSON.stringify(digest))))
    .catch(() => undefined);
  return digest.sha256;
}

/** The digest of a weight file, where it was hashed before and is the same file still. It is not read. */
export async function rememberedDigest(folder: string, path: string, verify: VerifyCache): Promise<string | undefined> {
  const real = await realpath(path);
  const known = await readRecord(digestPath(folder, real), fileDigestSchema);
  return known !== undefined && isSameFile(known.identity, await identityOf(real), verify) ? known.sha256 : undefined;
}

function digestPath(folder: string, realPath: string): string {
  const name = createHash('sha256').update(realPath).digest('hex').slice(0, 32);
  return join(folder, DIGESTS_FOLDER, `${name}.json`);
}

async function readMarker(entry: string): Promise<Marker | undefined> {
  return await readRecord(join(entry, MARKER_FILE), markerSchema);
}

async function writeMarker(entry: string, marker: Marker): Promise<void> {
  await writePlainFile(join(entry, MARKER_FILE), Buffer.from(JSON.stringify(marker)));
}

/** @returns the record if we wrote it, undefined for everything else */
async function readRecord<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse((await readPlainFile(path, MARKER_BYTES)).toString('utf8')));
  } catch {
    return undefined;
  }
}
