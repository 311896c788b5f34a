/** A lock that processes share: a file that names its holder, taken over when the holder is dead. */
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { systemCode } from './disk-errors.ts';

const RETRY_MS = 10;
/** An image is written in milliseconds, so a lock that is held this long hangs. */
const DEFAULT_PATIENCE_MS = 30_000;

export interface FileLockOptions {
  readonly patienceMs?: number;
  /**
   * For folders that machines or containers share, where the process number of another machine says nothing. The holder touches its lock, and a lock
   * that was not touched for so long is taken over. The locked work must bear a holder that was frozen and wakes up.
   */
  readonly staleMs?: number;
}

export interface HeldLock {
  /** For right before a write. @throws `store_failed` when somebody else has taken the lock over: this process was frozen for too long */
  check(): Promise<void>;
}

/** Runs `action` while no other process holds the lock at `path`. @throws `store_failed` when it stays held */
export async function withFileLock<T>(
  path: string,
  action: (lock: HeldLock) => Promise<T>,
  { patienceMs = DEFAULT_PATIENCE_MS, staleMs }: FileLockOptions = {},
): Promise<T> {
  const holder = `${process.pid}-${Math.random().toString(36).slice(2)}@${hostname()}`;
  const draft = draftOf(path, holder);
  // The lock is a second name of our temporary file. So touching the temporary file never touches a lock that was taken from us.
  const touch = (): void => void utimes(draft, new Date(), new Date()).catch(() => undefined);
  const touching = staleMs === undefined ? undefined : setInterval(touch, staleMs / 6);
  try {
    await writeFile(draft, holder);
    await acquire(path, draft, { patienceMs, staleMs });
    const isHeld = async (): Promise<boolean> => (await readFile(path, 'utf8').catch(() => undefined)) === holder;
    const check = async (): Promise<void> => {
      if (await isHeld()) return;
      throw new Text2ImgError('store_failed', `the lock ${path} was taken over by another process meanwhile.`);
    };
    try {
      return await action({ check });
    } finally {
      if (await isHeld()) await rm(path, { force: true });
    }
  } finally {
    clearInterval(touching);
    await rm(draft, { force: true });
  }
}

/** The form that `withFileLock` writes. Other content of a lock never becomes part of a path. */
const HOLDER = /^\d+-[a-z0-9]+@[\w.-]+$/;

/** The file that the lock is a second name of. */
function draftOf(path: string, holder: string): string {
  return `${path}.${holder}`;
}

interface Patience {
  readonly patienceMs: number;
  readonly staleMs: number | undefined;
}

async function acquire(path: string, draft: string, { patienceMs, staleMs }: Patience): Promise<void> {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += RETRY_MS) {
    try {
      // Exclusive, and the file has its content from the first moment.
      await link(draft, path);
      return;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    if (!(await removeIfHolderIsDead(path, draft, staleMs))) await sleep(RETRY_MS);
  }
  throw new Text2ImgError(
    'store_failed',
    `the lock ${path} is held by another process for more than ${patienceMs / 1000} s.`,
  );
}

async function removeIfHolderIsDead(path: string, draft: string, staleMs: number | undefined): Promise<boolean> {
  const holder = await readFile(path, 'utf8').catch(() => undefined);
  if (holder === undefined) return true;
  if (!isDead(holder) && !(staleMs !== undefined && (await ageMs(path)) > staleMs)) return false;
  // Of several that see the dead holder one wins the rename; a lock that was taken anew in between is put back.
  const aside = `${draft}.aside`;
  await rename(path, aside).catch(() => undefined);
  const taken = await readFile(aside, 'utf8').catch(() => undefined);
  if (taken !== undefined && taken !== holder) await link(aside, path).catch(() => undefined);
  else if (HOLDER.test(holder)) await rm(draftOf(path, holder), { force: true });
  await rm(aside, { force: true });
  return true;
}

/** Surely: a process of this machine that is no more. Of another machine's, or container's, nothing is known. */
function isDead(holder: string): boolean {
  const [process, host] = holder.split('@');
  const pid = Number.parseInt(process ?? '', 10);
  return (host === undefined || host === hostname()) && !Number.isNaN(pid) && !isAlive(pid);
}

async function ageMs(path: string): Promise<number> {
  const facts = await stat(path).catch(() => undefined);
  return facts === undefined ? 0 : Date.now() - facts.mtimeMs;
}

/** Of a process of this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
