/**
 * Fetches one file of a repository into the cache: goes on where an attempt broke off, and is there, whole and with the right sum, or not at
 * all. Several processes may want it at once; one fetches, the others wait.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { withFileLock } from '../../lib/file-lock.ts';
import { type HubAccess, type HubFile, refusal, unreachable } from './hub-client.ts';
import type { HubId } from './hub-id.ts';

export interface DownloadOptions {
  readonly hubId: HubId;
  readonly commit: string;
  readonly access: HubAccess;
  /** Where it goes. */
  readonly path: string;
  /** With the bytes that are there now. */
  readonly onProgress: (doneBytes: number) => void;
  /** Between two tries; grows. */
  readonly firstPauseMs?: number;
}

/** Tries in a row that bring nothing; one that brings bytes starts the count anew. */
const MAX_FRUITLESS = 5;
/** Times that all bytes came and the sum was wrong. */
const MAX_CORRUPT = 2;
const MAX_PAUSE_MS = 10_000;
/** Without a byte for so long a connection is given up. */
const SILENCE_MS = 30_000;
const MAX_REDIRECTS = 5;
/** As long as another process may take for a large file. */
/** A container that was killed leaves its lock in the volume, and its process number says nothing to the next one. */
const LOCK_STALE_MS = 30_000;
const LOCK_PATIENCE_MS = 6 * 60 * 60_000;

/** @throws `download_failed`, `model_gated`, `model_not_found`, `disk_full`, `store_unwritable` */
export async function downloadFile(file: HubFile, options: DownloadOptions): Promise<void> {
  const { path } = options;
  try {
    await mkdir(dirname(path), { recursive: true });
    await withFileLock(
      `${path}.text2img-lock`,
      async () => {
        const isThere = await stat(path).then(
          () => true,
          () => false,
        );
        if (!isThere) await fetchWhole(file, options);
      },
      { patienceMs: LOCK_PATIENCE_MS, staleMs: LOCK_STALE_MS },
    );
  } catch (error) {
    throw describe(error, options);
  }
}

async function fetchWhole(file: HubFile, options: DownloadOptions): Promise<void> {
  const { path, firstPauseMs = 500 } = options;
  // A name of its own: Python's client may be writing `.incomplete` under a lock that we do not share.
  const partial = `${path}.text2img-incomplete`;
  let corrupt = 0;
  for (let fruitless = 0; ; ) {
    const before = await sizeOf(partial);
    let failure: unknown;
    try {
      await fetchRest(file, partial, options);
      if ((await sizeOf(partial)) === file.sizeBytes) {
        if ((await sumOf(file, partial)) === file.blob) return await rename(partial, path);
        await rm(partial, { force: true });
        failure = new Text2ImgError(
          'download_failed',
          `${file.path} of ${options.hubId.id} has another checksum than the hub says; nothing of it was kept.`,
        );
        if (++corrupt >= MAX_CORRUPT) throw failure;
        continue;
      }
      failure = new Text2ImgError(
        'download_failed',
        `${file.path} of ${options.hubId.id} broke off after ${await sizeOf(partial)} of ${file.sizeBytes} bytes.`,
      );
    } catch (error) {
      if (!isTransient(error) || corrupt >= MAX_CORRUPT) throw error;
      failure = error;
    }
    fruitless = (await sizeOf(partial)) > before ? 0 : fruitless + 1;
    if (fruitless >= MAX_FRUITLESS) throw failure;
    const askedMs = failure instanceof Busy ? failure.retryAfterMs : 0;
    await sleep(Math.max(askedMs, Math.min(firstPauseMs * 2 ** fruitless, MAX_PAUSE_MS) * (0.5 + Math.random())));
  }
}

/** Appends what is missing; ends early where the connection does. */
async function fetchRest(file: HubFile, partial: string, options: DownloadOptions): Promise<void> {
  let startBytes = await sizeOf(partial);
  if (startBytes > file.sizeBytes) await rm(partial, { force: true });
  if (startBytes >= file.sizeBytes && file.sizeBytes > 0) {
    if (startBytes === file.sizeBytes) return;
    startBytes = 0;
  }
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await get(file, { ...options, startBytes, signal: silence.signal });
    // A server that cannot give a part gives the whole.
    const isPart = response.status === 206;
    await using handle = await open(partial, isPart ? 'a' : 'w');
    let doneBytes = isPart ? startBytes : 0;
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      doneBytes += chunk.length;
      if (doneBytes > file.sizeBytes)
        throw new Text2ImgError(
          'download_failed',
          `${file.path} of ${options.hubId.id} is longer than the ${file.sizeBytes} bytes that the hub says.`,
        );
      await handle.writeFile(chunk);
      options.onProgress(doneBytes);
    }
    await handle.sync();
  } finally {
    clearTimeout(timer);
  }
}

interface GetOptions extends DownloadOptions {
  readonly startBytes: number;
  readonly signal: AbortSignal;
}

/** The token goes to the hub only, never to the servers that it sends us to. */
async function get(file: HubFile, { hubId, commit, access, startBytes, signal }: GetOptions): Promise<Response> {
  const { endpoint, token } = access;
  const name = file.path.split('/').map(encodeURIComponent).join('/');
  let url = new URL(`${endpoint}/${hubId.id}/resolve/${encodeURIComponent(commit)}/${name}`);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (startBytes > 0) headers['range'] = `bytes=${startBytes}-`;
    if (token !== undefined && url.origin === new URL(endpoint).origin) headers['authorization'] = `Bearer ${token}`;
    const response = await fetch(url, { headers, redirect: 'manual', signal });
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      url = new URL(location, url);
      continue;
    }
    if (response.ok) return response;
    await response.body?.cancel();
    if (response.status === 429 || response.status >= 500) throw new Busy(response);
    throw refusal(hubId, {
      status: response.status,
      reason: response.headers.get('x-error-code'),
      hasToken: token !== undefined,
    });
  }
  throw new Text2ImgError(
    'download_failed',
    `${file.path} of ${hubId.id} is redirected more than ${MAX_REDIRECTS} times.`,
  );
}

/** The server is there, and cannot now. */
class Busy extends Error {
  readonly retryAfterMs: number;

  constructor({ status, headers }: Response) {
    super(`the server answered ${status}`);
    this.retryAfterMs = Math.min(60_000, 1000 * (Number(headers.get('retry-after')) || 0));
  }
}

function isTransient(error: unknown): boolean {
  if (error instanceof Text2ImgError) return false;
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || !/^E(?:NOSPC|DQUOT|ACCES|PERM|ROFS|NOTDIR)$/.test(code);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** SHA-256 of a large file; of a small one what git calls it: SHA-1 over a header and the bytes. */
async function sumOf({ isLarge, sizeBytes }: HubFile, path: string): Promise<string> {
  const hash: Hash = isLarge ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function describe(error: unknown, { access, path }: DownloadOptions): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new Text2ImgError('disk_full', `no space is left for ${path}.`, { cause: error });
  if (code !== undefined && /^E(?:ACCES|PERM|ROFS|NOTDIR)$/.test(code))
    return new Text2ImgError(
      'store_unwritable',
      `the hub's cache cannot be written: ${message}. HF_HOME names another place.`,
      { cause: error },
    );
  return unreachable(access.endpoint, error);
}
