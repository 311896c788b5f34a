/**
 * How files are opened and written. Where a plain file is meant, a pipe, a socket, a device or a folder is refused before anything waits for it.
 * Output goes through links and keeps the mode of the file that it replaces. It is flushed before it takes its name, and it is there whole or not at
 * all.
 */
import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, open, readlink, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isDiskFull, messageOf, systemCode } from './disk-errors.ts';
import { quote } from './foreign-text.ts';

export type FileFault =
  /** No file of this name, or a folder on the way to it is missing. */
  | 'missing'
  | 'folder'
  /** A pipe, socket or device. */
  | 'not-plain'
  | 'denied'
  | 'name-too-long'
  | 'too-large'
  | 'disk-full'
  | 'other';

/** `message` is a sentence that quotes the path and what is there, without the full stop. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly fault: FileFault;

  constructor(fault: FileFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** Longer chains of links are circles. */
const MAX_LINKS = 40;

/** Opens a plain file for reading; links are followed. The caller closes it. @throws `FileError` */
export async function openPlainFile(path: string): Promise<FileHandle> {
  try {
    // Looked at before it is opened, because opening a device may do something; opened without waiting, because it may be
    // another one by then.
    checkPlain(await stat(path), path);
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      checkPlain(await handle.stat(), path);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The whole file. @param maxBytes more is refused as `too-large`, before it is read @throws `FileError` */
export async function readPlainFile(path: string, maxBytes: number): Promise<Buffer> {
  await using handle = await openPlainFile(path);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes)
      throw new FileError('too-large', `${quote(path)} has ${size} bytes; at most ${maxBytes} are allowed`);
    return await handle.readFile();
  } catch (error) {
    throw fileError(error, path);
  }
}

export interface WriteOptions {
  /** The mode of a file that did not exist; what exists keeps its own. Default: 0666 less the umask. */
  readonly mode?: number;
}

/** Makes `path`, or what its links lead to, hold exactly `bytes`; a reader sees the old or the new content. @throws `FileError` */
export async function writePlainFile(path: string, bytes: Uint8Array, { mode }: WriteOptions = {}): Promise<void> {
  const { target, existing } = await writeTarget(path);
  const draft = draftName(target);
  try {
    await writeDraft(draft, bytes, { mode, existing });
    await moveIntoPlace(draft, target);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw fileError(error, path);
  }
}

/**
 * Proves that `writePlainFile` could write `path` now, by making and removing a file of one byte beside it: a full disk still makes empty files.
 * @throws `FileError`
 */
export async function checkWritable(path: string): Promise<void> {
  const { target, existing } = await writeTarget(path);
  const draft = draftName(target);
  try {
    // A file that may not be written is not replaced either, though the folder's permissions would allow it.
    if (existing !== undefined) await access(target, constants.W_OK);
    await writeDraft(draft, new Uint8Array(1), { mode: undefined, existing: undefined });
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await unlink(draft).catch(() => undefined);
  }
}

/** A name in the target's folder that nobody else uses; short enough where the target's own name is not too long. */
function draftName(target: string): string {
  // The global one, because `node:crypto` costs a start that only reads about 6 ms.
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString('hex');
  return join(dirname(target), `.${basename(target).slice(0, 40)}.${random}.tmp`);
}

/** Renames a temporary file that was flushed already, and flushes the folder, so that a power cut leaves the old or the new file. */
async function moveIntoPlace(draft: string, target: string): Promise<void> {
  await rename(draft, target);
  await syncFolder(dirname(target));
}

/** Some file systems cannot flush a folder; then its own order has to do. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY).catch(() => undefined);
  if (handle === undefined) return;
  await handle.sync().catch(() => undefined);
  await handle.close();
}

interface WriteTarget {
  /** Where the links end. */
  readonly target: string;
  /** The file that is there now. */
  readonly existing: Stats | undefined;
}

/** Where a write to `path` would go. @throws `FileError` when something else than a plain file is there */
async function writeTarget(path: string): Promise<WriteTarget> {
  let target = resolve(path);
  try {
    for (let links = 0; ; links++) {
      const next = await readlink(target).catch(() => undefined);
      if (next === undefined) break;
      if (links === MAX_LINKS) throw new FileError('other', `${quote(path)} is a circle of links`);
      target = resolve(dirname(target), next);
    }
    const existing = await stat(target).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (existing !== undefined) checkPlain(existing, path);
    return { target, existing };
  } catch (error) {
    throw fileError(error, path);
  }
}

/** Any error of the file system as a `FileError`; one that is one stays as it is. */
function fileError(error: unknown, path: string): FileError {
  if (error instanceof FileError) return error;
  const code = systemCode(error);
  const of = (fault: FileFault, what: string): FileError =>
    new FileError(fault, `${quote(path)} ${what}`, { cause: error });
  if (isDiskFull(error)) return of('disk-full', 'cannot be written: no space is left');
  if (code === 'ENOENT') return of('missing', 'does not exist');
  if (code === 'ENOTDIR') return of('missing', 'does not exist: a file stands where a folder is needed');
  if (code === 'EISDIR') return of('folder', 'is a folder');
  if (code === 'ENAMETOOLONG') return of('name-too-long', 'is too long a name for this file system');
  if (code === 'ENXIO') return of('not-plain', 'is no plain file');
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return of('denied', `may not be opened (${code})`);
  return of('other', `cannot be used: ${messageOf(error)}`);
}

function checkPlain(stats: Stats, path: string): void {
  if (stats.isFile()) return;
  if (stats.isDirectory()) throw new FileError('folder', `${quote(path)} is a folder`);
  throw new FileError('not-plain', `${quote(path)} is ${kindOf(stats)}; a plain file is needed`);
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

interface DraftOptions {
  readonly mode: number | undefined;
  readonly existing: Stats | undefined;
}

async function writeDraft(draft: string, bytes: Uint8Array, { mode, existing }: DraftOptions): Promise<void> {
  await using handle = await open(draft, 'wx', mode ?? 0o666);
  // The umask would take bits away that the replaced file has.
  if (existing !== undefined) await handle.chmod(existing.mode & 0o7777);
  await handle.writeFile(bytes);
  await handle.sync();
}
