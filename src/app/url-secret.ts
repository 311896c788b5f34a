/** The secrets that sign links to images. The embedded queue's server makes one and keeps it beside the queue; with MongoDB the operator gives one. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { UrlSigner } from '../http/images/sign-url.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { makeFolderSync } from '../lib/make-folder.ts';
import { FileError, readPlainFile, writePlainFile } from '../lib/plain-file.ts';
import type { ServeSettings } from './server-settings.ts';

const MAX_FILE_BYTES = 4096;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o750;
const FILE_NAME = 'url-secret';

/** @returns undefined where there is no secret: nothing can be signed @throws `store_unwritable` */
export async function urlSigner({
  urlSecret,
  queue,
}: Pick<ServeSettings, 'urlSecret' | 'queue'>): Promise<UrlSigner | undefined> {
  const [first, ...others] = urlSecret?.split(',') ?? [];
  if (first !== undefined) return new UrlSigner({ secrets: [first, ...others] });
  if (queue.mode.kind !== 'embedded') return undefined;
  return new UrlSigner({ secrets: [await keptSecret(queue.mode.dataDir)] });
}

async function keptSecret(folder: string): Promise<string> {
  const path = join(folder, FILE_NAME);
  try {
    return (await readSecret(path)) ?? (await makeSecret(folder, path));
  } catch (error) {
    if (error instanceof Text2ImgError) throw error;
    throw new Text2ImgError('store_unwritable', `The secret of links cannot be kept: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

async function readSecret(path: string): Promise<string | undefined> {
  try {
    const text = (await readPlainFile(path, MAX_FILE_BYTES)).toString('utf8').trim();
    return text === '' ? undefined : text;
  } catch (error) {
    if (error instanceof FileError && error.fault === 'missing') return undefined;
    throw error;
  }
}

async function makeSecret(folder: string, path: string): Promise<string> {
  makeFolderSync(folder, { mode: FOLDER_MODE });
  const secret = randomBytes(32).toString('base64url');
  await writePlainFile(path, Buffer.from(`${secret}\n`), { mode: FILE_MODE });
  return secret;
}
