/** A lock that processes of one machine share: a file that names its holder, taken over when the holder is dead. */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';

const RETRY_MS = 10;
/** A picture is written in milliseconds; whoever waits this long waits for something that hangs. */
const DEFAULT_PATIENCE_MS = 30_000;

/** Runs `action` while no other process holds the lock at `path`. @throws `store_failed` when it stays held */
export async function withFileLock<T>(
  path: string,
  action: () => Promise<T>,
  { patienceMs = DEFAULT_PATIENCE_MS }: { readonly patienceMs?: number } = {},
): Promise<T> {
  const holder = `${process.pid}-${Math.random().toString(36).slice(2)}`;
  const draft = `${path}.${holder}`;
  await writeFile(draft, holder);
  try {
    await acquire(path, draft, patienceMs);
    try {
      return await action();
    } finally {
      await rm(path, { force: true });
    }
  } finally {
    await rm(draft, { force: true });
  }
}

async function acquire(path: string, draft: string, patienceMs: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += RETRY_MS) {
    try {
      // Exclusive, and the file has its content from the first moment.
      await link(draft, path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!(await removeIfHolderIsDead(path, draft))) await sleep(RETRY_MS);
  }
  throw new Text2ImgError(
    'store_failed',
    `the lock ${path} is held by another process for more than ${patienceMs / 1000} s.`,
  );
}

async function removeIfHolderIsDead(path: string, draft: string): Promise<boolean> {
  const holder = await readFile(path, 'utf8').catch(() => undefined);
  if (holder === undefined) return true;
  const pid = Number.parseInt(holder, 10);
  if (Number.isNaN(pid) || isAlive(pid)) return false;
  // Of several that see the dead holder one wins the rename; a lock that was taken anew in between is put back.
  const grave = `${draft}.grave`;
  await rename(path, grave).catch(() => undefined);
  const buried = await readFile(grave, 'utf8').catch(() => undefined);
  if (buried !== undefined && buried !== holder) await link(grave, path).catch(() => undefined);
  await rm(grave, { force: true });
  return true;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
