/**
 * Downloads one file of a repository into the cache and resumes where an earlier attempt broke off. The file gets its name only when it is whole
 * and its sum is right. If several processes want it at once, one downloads it and the others wait.
 */
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { IncomingMessage } from 'node:http';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { withFileLock } from '../../lib/file-lock.ts';
import { quote } from '../../lib/foreign-text.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { growingPauseMs, pause } from '../../lib/pause.ts';
import type { HubFile } from './hub-answers.ts';
import { busy, cacheError, networkError, refusal, Trouble, unreachable } from './hub-errors.ts';
import type { HubId } from './hub-id.ts';
import { get, type HubAccess, hubAddress } from './hub-request.ts';
import { type BlobCheck, blobState, sumOf } from './whole-blob.ts';

/** How long a connection may bring too little. */
export interface Patience {
  /** Without a byte. */
  readonly silenceMs: number;
  /** In each such time it must bring `windowBytes`. */
  readonly windowMs: number;
  readonly windowBytes: number;
}

export interface DownloadOptions {
  readonly hubId: HubId;
  readonly commit: string;
  readonly access: HubAccess;
  /** Where it goes. */
  readonly path: string;
  /** A file that is already there is used if it passes this check. */
  readonly check: BlobCheck;
  /** With the bytes that are there now. */
  readonly onProgress: (doneBytes: number) => void;
  /** Between two attempts; grows. */
  readonly firstPauseMs?: number;
  readonly patience?: Patience;
}

const PATIENCE: Patience = { silenceMs: 30_000, windowMs: 60_000, windowBytes: 64 * 1024 };
/** Attempts in a row that bring less than this further than any before. */
const MAX_FRUITLESS = 5;
const FRUIT_BYTES = 16 * 1024;
/** Times that all bytes came and the sum was wrong. */
const MAX_CORRUPT = 2;
/** Times that the server could not go on where the last attempt broke off. */
const MAX_RESTARTS = 3;
const MAX_PAUSE_MS = 10_000;
/** A container that was killed leaves its lock in the volume, and its process number says nothing to the next one. */
const LOCK_STALE_MS = 30_000;
/** As long as another process may take for a large file. */
const LOCK_PATIENCE_MS = 6 * 60 * 60_000;

/** @throws `download_failed`, `model_gated`, `model_not_found`, `disk_full`, `store_unwritable` */
export async function downloadFile(file: HubFile, options: DownloadOptions): Promise<void> {
  const { path, check, access } = options;
  try {
    await makeFolder(dirname(path));
    await withFileLock(
      `${path}.text2img-lock`,
      async () => {
        if ((await blobState(path, file, check)) !== 'whole') await fetchWhole(file, options);
      },
      { patienceMs: LOCK_PATIENCE_MS, staleMs: LOCK_STALE_MS },
    );
    await removeDeadDrafts(path);
  } catch (error) {
    throw error instanceof Trouble ? unreachable(access, error) : cacheError(error, dirname(path));
  }
}

async function fetchWhole(file: HubFile, options: DownloadOptions): Promise<void> {
  const { path, firstPauseMs = 500 } = options;
  // A name of its own: Python's client may be writing `.incomplete` under a lock that we do not share.
  const partial = `${path}.text2img-incomplete`;
  let [corrupt, restarts, fruitless, mostBytes] = [0, 0, 0, await sizeOf(partial)];
  for (;;) {
    const { trouble, isRestart } = await fetchRest(file, partial, options);
    const doneBytes = await sizeOf(partial);
    if (trouble === undefined && doneBytes === file.sizeBytes) {
      if ((await sumOf(file, partial)) === file.blob) return await rename(partial, path);
      await rm(partial, { force: true });
      if (++corrupt >= MAX_CORRUPT)
        throw failed(file, options, 'has another checksum than the hub says; nothing of it was kept');
      continue;
    }
    if (isRestart && ++restarts > MAX_RESTARTS)
      throw failed(file, options, 'cannot be continued: the server sends the wrong part of the file');
    fruitless = doneBytes >= mostBytes + FRUIT_BYTES ? 0 : fruitless + 1;
    mostBytes = Math.max(mostBytes, doneBytes);
    if (fruitless >= MAX_FRUITLESS)
      throw trouble ?? failed(file, options, `broke off after ${doneBytes} of ${file.sizeBytes} bytes`);
    await pause(
      Math.max(
        trouble?.retryAfterMs ?? 0,
        growingPauseMs(fruitless + 1, { firstMs: firstPauseMs, maxMs: MAX_PAUSE_MS }),
      ),
    );
  }
}

interface TryOutcome {
  /** Why it did not get to the end, where that is known. */
  readonly trouble?: Trouble;
  /** The server could not use the bytes that were there. They were removed, and the next attempt begins anew. */
  readonly isRestart?: true;
}

/** Appends what is missing; ends early where the connection does. */
async function fetchRest(file: HubFile, partial: string, options: DownloadOptions): Promise<TryOutcome> {
  let startBytes = await sizeOf(partial);
  if (startBytes === file.sizeBytes && startBytes > 0) return {};
  if (startBytes > file.sizeBytes) {
    await rm(partial, { force: true });
    startBytes = 0;
  }
  try {
    const answer = await request(file, { ...options, startBytes });
    if (answer === 'other-part') {
      await rm(partial, { force: true });
      return { isRestart: true };
    }
    await writeBody(answer, partial, { file, options, startBytes: answer.statusCode === 206 ? startBytes : 0 });
    return {};
  } catch (error) {
    if (error instanceof Trouble) return { trouble: error };
    throw error;
  }
}

interface Writing {
  readonly file: HubFile;
  readonly options: DownloadOptions;
  readonly startBytes: number;
}

async function writeBody(
  answer: IncomingMessage,
  partial: string,
  { file, options, startBytes }: Writing,
): Promise<void> {
  const chunks = chunksOf(answer, options);
  // Asked for before the file is open: a connection that breaks while a slow disk opens it would take along what has come.
  const first = chunks.next();
  const firstEnded = first.catch(() => undefined);
  try {
    await using handle = await open(partial, startBytes > 0 ? 'a' : 'w');
    let doneBytes = startBytes;
    for (let next = await first; next.done !== true; next = await chunks.next()) {
      doneBytes += next.value.length;
      if (doneBytes > file.sizeBytes)
        throw failed(file, options, `is longer than the ${file.sizeBytes} bytes that the hub says`);
      await handle.writeFile(next.value);
      options.onProgress(doneBytes);
    }
    await handle.sync();
  } finally {
    answer.destroy();
    await firstEnded;
    await chunks.return(undefined);
  }
}

/** The body; what the network does to it is `Trouble`, so that it is never taken for the disk's. */
async function* chunksOf(
  answer: IncomingMessage,
  { patience = PATIENCE, access }: DownloadOptions,
): AsyncGenerator<Buffer> {
  const { silenceMs, windowMs, windowBytes } = patience;
  let inWindow = 0;
  const end = (why: string): void => void answer.destroy(new Error(why));
  const silence = setTimeout(() => end(`no byte for ${silenceMs / 1000} s`), silenceMs);
  const window = setInterval(() => {
    if (inWindow < windowBytes) end(`fewer than ${windowBytes} bytes in ${windowMs / 1000} s`);
    inWindow = 0;
  }, windowMs);
  try {
    for await (const chunk of answer) {
      silence.refresh();
      inWindow += (chunk as Buffer).length;
      yield chunk as Buffer;
      // A disk that was slow meanwhile is not the server's silence.
      silence.refresh();
    }
  } catch (error) {
    throw networkError(error, access);
  } finally {
    clearTimeout(silence);
    clearInterval(window);
    answer.destroy();
  }
}

/** A body to be appended (206) or to begin with (200). */
async function request(
  file: HubFile,
  { hubId, commit, access, startBytes, patience = PATIENCE }: DownloadOptions & { readonly startBytes: number },
): Promise<IncomingMessage | 'other-part'> {
  const url = hubAddress(access, [...hubId.id.split('/'), 'resolve', commit, ...file.path.split('/')]);
  const headers = startBytes > 0 ? { range: `bytes=${startBytes}-` } : {};
  const answer = await get(access, { url, headers, headTimeoutMs: patience.silenceMs }).catch((error: unknown) => {
    throw networkError(error, access);
  });
  const { statusCode: status = 0, headers: answered } = answer;
  if (status === 200) return answer;
  if (status === 206 && startBytes > 0 && isPartFrom(answered['content-range'], startBytes, file.sizeBytes))
    return answer;
  answer.destroy();
  if (startBytes > 0 && (status === 206 || status === 416)) return 'other-part';
  throw busy(status, answered) ?? refusal(hubId, { status, headers: answered, access });
}

/** `content-range: bytes 1000-4999/5000` */
function isPartFrom(range: string | undefined, startBytes: number, sizeBytes: number): boolean {
  const [, first, total] = /^\s*bytes\s+(\d+)-\d+\/(\d+|\*)\s*$/i.exec(range ?? '') ?? [];
  return Number(first) === startBytes && (total === '*' || Number(total) === sizeBytes);
}

function failed(file: HubFile, { hubId }: DownloadOptions, what: string): Text2ImgError {
  return new Text2ImgError('download_failed', `${quote(file.path)} of ${hubId.id} ${what}.`);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Removes temporary files of processes that were killed while they waited for the lock. */
async function removeDeadDrafts(path: string): Promise<void> {
  const prefix = `${basename(path)}.text2img-lock.`;
  const names = (await readdir(dirname(path)).catch(() => [])).filter((name) => name.startsWith(prefix));
  for (const name of names) {
    const draft = join(dirname(path), name);
    const facts = await stat(draft).catch(() => undefined);
    if (facts !== undefined && Date.now() - facts.mtimeMs > 2 * LOCK_STALE_MS)
      await rm(draft, { force: true }).catch(() => undefined);
  }
}
