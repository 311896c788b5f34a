/** API keys out of a file. It is read again when it changes, so a revoked key is refused within a second, without a restart. */
import { timingSafeEqual } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { readPlainFile } from '../../lib/plain-file.ts';
import type { Logger } from '../../observability/logger.ts';
import type { ApiKey } from '../front/caller.ts';
import { hashOfSecret, type KeyLine, readKeyLines } from './key-lines.ts';
import type { KeyRing } from './key-ring.ts';

/** A hundred thousand keys. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** How old the last look at the file may be. */
const LOOK_MS = 1000;
/** Our keys are shorter. Longer texts are not hashed. */
const MAX_SECRET_LENGTH = 256;

export class KeyFile implements KeyRing {
  readonly #path: string;
  readonly #logger: Logger;
  #keys: ReadonlyMap<string, KeyLine>;
  #version: string;
  #lookedMs = performance.now();
  #looking: Promise<void> | undefined;

  private constructor(path: string, logger: Logger, read: ReadKeys) {
    this.#path = path;
    this.#logger = logger;
    this.#keys = read.keys;
    this.#version = read.version;
  }

  /** @throws `invalid_option` */
  static async open(path: string, logger: Logger): Promise<KeyFile> {
    const read = await readKeys(path);
    if (read.isPublic) logger.warning('other users of this machine can read the key file', { file: path });
    return new KeyFile(path, logger, read);
  }

  async find(secret: string): Promise<ApiKey | undefined> {
    await this.#refresh();
    if (secret.length > MAX_SECRET_LENGTH) return undefined;
    const hash = hashOfSecret(secret);
    const line = this.#keys.get(hash);
    return line !== undefined && timingSafeEqual(Buffer.from(line.hash), Buffer.from(hash)) ? line.key : undefined;
  }

  /** A file that cannot be read any more leaves the keys as they were. */
  async #refresh(): Promise<void> {
    if (performance.now() - this.#lookedMs < LOOK_MS) return;
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  async #look(): Promise<void> {
    try {
      if ((await versionOf(this.#path)) !== this.#version) {
        const { keys, version } = await readKeys(this.#path);
        this.#keys = keys;
        this.#version = version;
        this.#logger.info('the key file was read again', { keys: keys.size });
      }
    } catch (error) {
      this.#logger.repeated('the key file cannot be read; the keys stay as they were', { error });
    }
    this.#lookedMs = performance.now();
  }
}

interface ReadKeys {
  /** By the hash of the secret. */
  readonly keys: ReadonlyMap<string, KeyLine>;
  readonly version: string;
  /** Others than its owner may read it. */
  readonly isPublic: boolean;
}

async function readKeys(path: string): Promise<ReadKeys> {
  try {
    // Looked at first: a change while it is read is noticed at the next look.
    const version = await versionOf(path);
    const bytes = await readPlainFile(path, MAX_FILE_BYTES);
    const lines = readKeyLines(bytes.toString('utf8'), path);
    const { mode } = await stat(path);
    return { keys: new Map(lines.map((line) => [line.hash, line])), version, isPublic: (mode & 0o077) !== 0 };
  } catch (error) {
    if (error instanceof Text2ImgError) throw error;
    throw new Text2ImgError('invalid_option', `The key file cannot be read: ${messageOf(error)}.`, { cause: error });
  }
}

async function versionOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}
