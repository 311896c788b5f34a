/**
 * `text2img setup cuda`: downloads ONNX Runtime's CUDA provider and NVIDIA's libraries into our folder and checks their sums. The user installs
 * nothing but a driver.
 *
 * ONNX Runtime looks for its providers beside its own library. We put a copy of that library into the same folder, and LD_LIBRARY_PATH makes the loader
 * find it first. So nothing is written into `node_modules`. Tried with onnxruntime-node 1.30: its binding has a RUNPATH, which LD_LIBRARY_PATH precedes.
 */
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, type WriteStream } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { once } from 'node:events';
import { Unzip, UnzipInflate, UnzipPassThrough } from 'fflate';
import { Text2ImgError } from '../../../errors/text2img-error.ts';
import { isDiskFull, messageOf, systemCode } from '../../../lib/disk-errors.ts';
import { quote } from '../../../lib/foreign-text.ts';
import { exchange } from '../../../lib/http-exchange.ts';
import { NO_PROXIES, type Proxies } from '../../../lib/proxies.ts';
import { agentFor } from '../../../lib/proxy-agent.ts';
import { cudaLibraryFolder } from './library-folder.ts';
import { DraftFolder } from './draft-folder.ts';
import { CUDA_WHEELS, type Wheel } from './cuda-wheels.ts';

const PACKAGES_URL = 'https://files.pythonhosted.org/packages/';
const SILENCE_MS = 60_000;
const RUNTIME_LIBRARY = 'libonnxruntime.so.1';

export interface FetchCudaOptions {
  /** Where the folder of libraries is made; see `cudaLibraryFolder`. */
  readonly dataHome: string;
  /** A mirror's folder of packages. */
  readonly packagesUrl?: string;
  readonly wheels?: readonly Wheel[];
  readonly proxies?: Proxies;
  readonly onProgress?: (name: string, doneBytes: number, totalBytes: number) => void;
}

/** @returns the folder, at once when it is there already @throws `download_failed`, `device_unavailable`, `disk_full`, `store_unwritable` */
export async function fetchCuda({
  dataHome,
  packagesUrl = PACKAGES_URL,
  wheels = CUDA_WHEELS,
  proxies = NO_PROXIES,
  onProgress,
}: FetchCudaOptions): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Text2ImgError(
      'device_unavailable',
      `CUDA is set up for linux-x64 only; this is ${process.platform}-${process.arch}.`,
    );
  }
  const folder = cudaLibraryFolder(dataHome);
  if (existsSync(folder)) return folder;
  try {
    await using draft = new DraftFolder(folder);
    for (const wheel of wheels)
      await fetchWheel(wheel, { url: new URL(wheel.path, packagesUrl), folder: draft.path, proxies, onProgress });
    await copyFile(runtimeLibrary(), join(draft.path, RUNTIME_LIBRARY));
    await draft.moveIntoPlace();
    return folder;
  } catch (error) {
    throw setupError(error, folder);
  }
}

function runtimeLibrary(): string {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return join(dirname(manifest), 'bin', 'napi-v6', 'linux', 'x64', RUNTIME_LIBRARY);
}

interface WheelTarget {
  readonly url: URL;
  readonly folder: string;
  readonly proxies: Proxies;
  readonly onProgress: FetchCudaOptions['onProgress'];
}

/** Unpacks while it downloads; the sum decides at the end whether what was unpacked is kept. */
async function fetchWheel(wheel: Wheel, { url, folder, proxies, onProgress }: WheelTarget): Promise<void> {
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

function setupError(error: unknown, folder: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const [code, message] = [systemCode(error), messageOf(error)];
  if (isDiskFull(error))
    return new Text2ImgError('disk_full', `no space is left for ${folder} (3.4 GB are needed).`, { cause: error });
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return new Text2ImgError('store_unwritable', `${folder} cannot be written: ${message}.`, { cause: error });
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return new Text2ImgError('download_failed', `the download failed: ${message}${cause}.`, { cause: error });
}
