/** Tells the operating system's disk errors apart. */
import { quote } from './foreign-text.ts';

/** No space, no quota, or no room under a limit for the file's size. */
const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export function isDiskFull(error: unknown): boolean {
  return FULL.has(systemCode(error));
}

/** `ENOENT` and the like; undefined where the error is none of the system's. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** The message of any thrown value; never throws itself. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : quote(error);
}
