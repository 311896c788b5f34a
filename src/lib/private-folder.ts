/** Folders in the temporary folder that only this user may write. Anybody may make a folder of that name first, so its owner and mode are checked. */
import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for `purpose`; the same for every process of this user. It is not made. */
export function privateFolderFor(purpose: string): string {
  return join(tmpdir(), `text2img-${purpose}-${process.getuid?.() ?? 'user'}`);
}

/** True if it is there afterwards, and only this user may write it. */
export function makePrivateFolder(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch {
    return isPrivateFolder(path);
  }
}

export function isPrivateFolder(path: string): boolean {
  const facts = lookAt(path);
  if (facts === undefined || !facts.isDirectory()) return false;
  const uid = process.getuid?.();
  return uid === undefined || (facts.uid === uid && (facts.mode & 0o022) === 0);
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
