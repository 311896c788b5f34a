/** Writes the folder's files. Each is flushed before it takes its name, so that a power cut leaves the old file, the new one or none. */
import { randomBytes } from 'node:crypto';
import { link, open, readlink, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isDiskFull, messageOf } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { makeFolder } from '../../lib/make-folder.ts';

/** Less the umask. A web server reads them as a member of the group; others have no business here. */
const FOLDER_MODE = 0o750;
const FILE_MODE = 0o640;

/** @throws `store_unwritable` with the reason: for a link that leads to nothing, or a read-only disk, the system only says that something is missing */
export async function makeStoreFolder(path: string): Promise<void> {
  try {
    await makeFolder(path, { mode: FOLDER_MODE });
  } catch (error) {
    if (isDiskFull(error)) throw error;
    throw new Text2ImgError(
      'store_unwritable',
      `the folder ${quote(path)} cannot be made: ${(await brokenLink(path)) ?? messageOf(error)}.`,
      { cause: error },
    );
  }
}

/** The first folder on the way to `path` that is a link to nothing. */
async function brokenLink(path: string): Promise<string | undefined> {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const target = await readlink(at).catch(() => undefined);
    if (target !== undefined) return `${quote(at)} is a link to ${quote(target)}, which cannot be used`;
  }
  return undefined;
}

/** A new file; the bytes are on the disk when this returns. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx', FILE_MODE);
  await file.writeFile(bytes);
  await file.sync();
}

/** @param check runs when all is ready; what it throws leaves everything as it was */
export async function replaceDurably(path: string, bytes: Uint8Array, check: () => Promise<void>): Promise<void> {
  await viaDraft(path, bytes, async (draft) => {
    await check();
    await rename(draft, path);
  });
}

/** Fails where `path` exists already: a link, unlike a rename, never overwrites. */
export async function createDurably(path: string, bytes: Uint8Array, check: () => Promise<void>): Promise<void> {
  await viaDraft(path, bytes, async (draft) => {
    await check();
    await link(draft, path);
  });
}

/** The file is gone from the disk when this returns. One that is missing already is no error. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

async function viaDraft(path: string, bytes: Uint8Array, publish: (draft: string) => Promise<void>): Promise<void> {
  const draft = join(dirname(path), `.draft-${process.pid}-${randomBytes(6).toString('hex')}`);
  try {
    await writeDurably(draft, bytes);
    await publish(draft);
    await syncFolder(dirname(path));
  } finally {
    await rm(draft, { force: true });
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder.
  if (process.platform === 'win32') return;
  await using handle = await open(folder, 'r');
  await handle.sync();
}
