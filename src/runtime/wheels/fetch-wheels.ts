/**
 * Downloads libraries out of Python packages and checks their sums. The folder is there whole or not at all. Of two processes
 * that download at once, the second one puts its folder in the place of the first one's.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { Unzip, UnzipInflate, UnzipPassThrough } from 'fflate';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isDiskFull, messageOf, systemCode } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { exchange } from '../../lib/http-exchange.ts';
import { NO_PROXIES, type Proxies } from '../../lib/proxies.ts';
import { agentFor } from '../../lib/proxy-agent.ts';
import { DraftFolder } from './draft-folder.ts';
import type { Wheel } from './wheel.ts';

const PACKAGES_URL = 'https://files.pythonhosted.org/packages/';
const SILENCE_MS = 60_000;

export interface DownloadOptions {
  /** A mirror's folder of packages. */
  readonly packagesUrl?: string | undefined;
  readonly proxies?: Proxies;
  readonly onProgress?: (name: string, doneBytes: number, totalBytes: number) => void;
}

export interface FetchedFolder extends DownloadOptions {
  /** It is made, or takes the place of what is there. */
  readonly folder: string;
  readonly wheels: readonly Wheel[];
  /** For the sentence about a full disk: `3.4 GB`. */
  readonly needs: string;
  /** Adds to the folder, or refuses it, before it takes its name. */
  readonly finish?: (draft: string) => Promise<void>;
}

/** @throws `download_failed`, `disk_full`, `store_unwritable` */
export async function fetchWheels(options: FetchedFolder): Promise<void> {
  const { folder, wheels, finish, packagesUrl = PACKAGES_URL } = options;
  try {
    await using draft = new DraftFolder(folder);
    for (const wheel of wheels) await fetchWheel(wheel, { ...options, packagesUrl, folder: draft.path });
    await finish?.(draft.path);
    await draft.moveIntoPlace();
  } catch (error) {
    throw setupError(error, options);
  }
}

interface WheelTarget extends DownloadOptions {
  readonly folder: string;
  readonly packagesUrl: string;
}

/** Unpacks while it downloads; the sum decides at the end whether what was unpacked is kept. */
async function fetchWheel(
  wheel: Wheel,
  { folder, packagesUrl, proxies = NO_PROXIES, onProgress }: WheelTarget,
): Promise<void> {
  const url = new URL(wheel.path, packagesUrl);
  const response = await exchange({
    url,
    headers: { 'user-agent': 'text2img' },
    agent: agentFor(url, proxies),
    headTimeoutMs: SILENCE_MS,
  });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Text2ImgError(
      'download_failed',
      `${url.href} answered ${response.statusCode} ${quote(response.statusMessage)}.`,
    );
  }
  response.setTimeout(SILENCE_MS, () => response.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`)));
  const sum = createHash('sha256');
  const files: WriteStream[] = [];
  const unzip = wheelUnzipper(wheel, folder, files);
  let doneBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sum.update(chunk);
    unzip.push(chunk);
    doneBytes += chunk.length;
    onProgress?.(wheel.name, doneBytes, wheel.sizeBytes);
    // The disk is slower than the network and the inflater at times; memory stays bounded.
    await Promise.all(files.filter((file) => file.writableNeedDrain).map((file) => once(file, 'drain')));
  }
  const found = sum.digest('hex');
  if (found !== wheel.sha256) {
    // A file that is cut off inside an archive never ends by itself.
    for (const file of files) file.destroy();
    throw new Text2ImgError(
      'download_failed',
      `${basename(url.pathname)} has the SHA-256 ${found}, but ${wheel.sha256} is needed; nothing of it was kept.`,
    );
  }
  await Promise.all(files.map(closed));
  if (files.length === 0)
    throw new Text2ImgError(
      'download_failed',
      `${basename(url.pathname)} holds none of the libraries that are needed.`,
    );
}

async function closed(file: WriteStream): Promise<void> {
  if (file.errored !== null) throw file.errored;
  if (file.closed) return;
  await new Promise<void>((resolve, reject) => file.once('close', resolve).once('error', reject));
}

function wheelUnzipper(wheel: Wheel, folder: string, files: WriteStream[]): Unzip {
  const unzip = new Unzip((entry) => {
    if (!wheel.wanted.test(entry.name)) return;
    const file = createWriteStream(join(folder, basename(entry.name)));
    // Reported by `closed`, which waits for the file to close.
    file.on('error', () => undefined);
    files.push(file);
    entry.ondata = (error, data, isLast) => {
      if (error !== null) file.destroy(error);
      else file.write(data);
      if (isLast) file.end();
    };
    entry.start();
  });
  unzip.register(UnzipInflate);
  unzip.register(UnzipPassThrough);
  return unzip;
}

function setupError(error: unknown, { folder, needs }: Pick<FetchedFolder, 'folder' | 'needs'>): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const [code, message] = [systemCode(error), messageOf(error)];
  if (isDiskFull(error))
    return new Text2ImgError('disk_full', `no space is left for ${folder} (${needs} are needed).`, { cause: error });
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return new Text2ImgError('store_unwritable', `${folder} cannot be written: ${message}.`, { cause: error });
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return new Text2ImgError(
    'download_failed',
    `the download failed: ${message}${cause}. Try again; behind a proxy set HTTPS_PROXY. Without a network copy ${folder} from another machine.`,
    { cause: error },
  );
}
