/**
 * Makes a folder and those above it. `/proc` answers a request for a new folder as if the parent were missing. Node's own `recursive` then tries for
 * ever, also in its promises (measured with Node 24.21).
 */
import { mkdirSync, type Stats, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from './disk-errors.ts';

export interface MakeFolderOptions {
  /** Of each folder that is made, less the umask. */
  readonly mode?: number;
}

/** Does nothing where it exists. @throws the system's error */
export async function makeFolder(path: string, options: MakeFolderOptions = {}): Promise<void> {
  try {
    await mkdir(path, options);
  } catch (error) {
    const facts = await stat(path).catch(() => undefined);
    if (isFolder(facts)) return;
    const parent = dirname(path);
    if (!mayLackParent(error, path)) throw error;
    // Another process may have made it since. One more try of the last folder then ends in any case.
    if (!isFolder(await stat(parent).catch(() => undefined))) await makeFolder(parent, options);
    await makeLast(path, options);
  }
}

/** Another process may make it at the same time. */
async function makeLast(path: string, options: MakeFolderOptions): Promise<void> {
  await mkdir(path, options).catch(async (error: unknown) => {
    if (!isFolder(await stat(path).catch(() => undefined))) throw error;
  });
}

/** As `makeFolder`, and waits in this thread. */
export function makeFolderSync(path: string, options: MakeFolderOptions = {}): void {
  try {
    mkdirSync(path, options);
  } catch (error) {
    if (isFolder(lookAt(path))) return;
    const parent = dirname(path);
    if (!mayLackParent(error, path)) throw error;
    if (!isFolder(lookAt(parent))) makeFolderSync(parent, options);
    try {
      mkdirSync(path, options);
    } catch (last) {
      if (!isFolder(lookAt(path))) throw last;
    }
  }
}

function mayLackParent(error: unknown, path: string): boolean {
  return systemCode(error) === 'ENOENT' && dirname(path) !== path;
}

function isFolder(facts: Stats | undefined): boolean {
  return facts?.isDirectory() === true;
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
