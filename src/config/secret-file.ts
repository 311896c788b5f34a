/**
 * Secrets out of files: `<VARIABLE>_FILE` names a file, a link to one (as under /run/secrets), or a pipe (as the shell's `<(command)` makes
 * them). A pipe is read until its writer closes it, for a bounded time.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf, systemCode } from '../lib/disk-errors.ts';
import { quote } from '../lib/foreign-text.ts';
import { pause } from '../lib/pause.ts';
import { readPlainFile } from '../lib/plain-file.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';

/** Longer than any URI or set of secrets. */
const MAX_SECRET_BYTES = 65_536;
/** A command that asks a vault for it takes a second or two. */
const PIPE_PATIENCE_MS = 10_000;
const PIPE_PAUSE_MS = 20;

export interface SecretFileOptions {
  readonly pipePatienceMs?: number;
}

/**
 * The text without white space at its ends.
 * @param variable for the error
 * @throws `invalid_option`, which never quotes what is in the file
 */
export async function readSecretFile(
  variable: string,
  path: string,
  { pipePatienceMs = PIPE_PATIENCE_MS }: SecretFileOptions = {},
): Promise<string> {
  const refused = (why: string, cause?: unknown): Text2ImgError =>
    new Text2ImgError('invalid_option', `${variable} ${why}.`, omitUndefined({ cause }));
  const bytes = await readBytes(path, pipePatienceMs).catch((error: unknown) => {
    const who = systemCode((error as Error).cause) === 'EACCES' ? ` by user ${process.getuid?.() ?? '?'}` : '';
    throw refused(`cannot be read${who}: ${messageOf(error)}`, error);
  });
  const text = decode(bytes);
  if (text === undefined) throw refused(`${quote(path)} is no UTF-8 text`);
  if (text.includes('\0')) throw refused(`${quote(path)} holds a NUL; it must be UTF-8 text`);
  if (text.trim() === '') throw refused(`${quote(path)} is empty; remove the variable if no value is meant`);
  return text.trim();
}

/** Without a byte order mark; undefined when it is not UTF-8. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

async function readBytes(path: string, pipePatienceMs: number): Promise<Uint8Array> {
  const facts = await stat(path).catch(() => undefined);
  if (facts?.isFIFO() !== true) return readPlainFile(path, MAX_SECRET_BYTES);
  // Opened without waiting for a writer, who may never come.
  await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return await readPipe(handle, pipePatienceMs);
}

async function readPipe(handle: FileHandle, patienceMs: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(MAX_SECRET_BYTES + 1);
  const endMs = performance.now() + patienceMs;
  let length = 0;
  for (;;) {
    const bytesRead = await readAvailable(handle, buffer.subarray(length));
    length += bytesRead ?? 0;
    if (length > MAX_SECRET_BYTES) throw new Error(`it gives more than ${MAX_SECRET_BYTES} bytes`);
    // Nothing at all may also mean that the writer has not come yet.
    if (bytesRead === 0 && length > 0) return buffer.subarray(0, length);
    if (performance.now() > endMs) throw new Error(`the pipe was not written and closed within ${patienceMs / 1000} s`);
    if (bytesRead === undefined || bytesRead === 0) await pause(PIPE_PAUSE_MS);
  }
}

/** Undefined: a writer has it open and has written nothing new. 0: nobody has it open for writing. */
async function readAvailable(handle: FileHandle, into: Uint8Array): Promise<number | undefined> {
  try {
    return (await handle.read(into, 0, into.length, null)).bytesRead;
  } catch (error) {
    if (systemCode(error) === 'EAGAIN') return undefined;
    throw error;
  }
}
