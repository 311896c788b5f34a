/**
 * Pictures as files of a folder, with the same promises as a bucket: all or nothing, and never a stranger's object overwritten.
 *
 * What a bucket keeps as an object's metadata lies in `.meta/<name>.json` beside it, as entries by the picture's SHA-256. The new entry
 * is there before the new picture, and the old one goes after it, so a crash at any point leaves a picture whose own entry is there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isDiskFull, messageOf, systemCode } from '../lib/disk-errors.ts';
import { type HeldLock, withFileLock } from '../lib/file-lock.ts';
import { quote } from '../lib/foreign-text.ts';
import { FileError, readPlainFile } from '../lib/plain-file.ts';
import { omitUndefined } from '../lib/omit-undefined.ts';
import { whoseObject } from './doc-key.ts';
import { createDurably, makeFolder, replaceDurably, writeDurably } from './durable-files.ts';
import type {
  AdoptOutcome,
  FoundImage,
  ImageMetadata,
  ImageObject,
  ImageStore,
  ProbeOptions,
  PutResult,
} from './image-store.ts';
import { DEFAULT_OBJECT_PREFIX, probeKey } from './object-key.ts';

const entriesSchema = z.record(
  z.string(),
  z.object({ runId: z.string(), docKey: z.string(), seed: z.number(), model: z.string() }),
);
type Entries = Record<string, ImageMetadata>;

interface PutOptions {
  readonly mayReplace: () => Promise<boolean>;
  readonly signal?: AbortSignal;
}

/** A lock that nobody touched for so long is a dead container's. Writing a picture takes milliseconds, and touches it all the while. */
const STALE_LOCK_MS = 10_000;
/** What stands beside an adopted picture that was not ours. */
const NOBODYS = { runId: 'adopted', seed: 0, model: '' } as const;
/** More is no picture of ours. */
const MAX_READ_BYTES = 2 ** 30;

export class FileImageStore implements ImageStore {
  readonly description: string;
  readonly #root: string;
  readonly #prefix: string;

  /**
   * @param root object names are relative to it
   * @param options.prefix what they begin with
   */
  constructor(root: string, { prefix = DEFAULT_OBJECT_PREFIX }: { readonly prefix?: string } = {}) {
    this.#root = resolve(root);
    this.#prefix = prefix;
    this.description = `the folder ${this.#root}`;
  }

  async check({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.probe({ sizeBytes: 4096, ...omitUndefined({ signal }) });
  }

  /** Writes where a picture and where its entry would lie, and removes both. */
  async probe({ sizeBytes, signal }: ProbeOptions): Promise<void> {
    await this.#translate(async () => {
      const name = `${probeKey(this.#prefix)}-${randomBytes(6).toString('hex')}`;
      const path = this.#pathOf(name);
      await makeFolder(dirname(entriesPath(path)));
      for (const [file, bytes] of [
        [path, sizeBytes],
        [entriesPath(path), 1],
      ] as const) {
        signal?.throwIfAborted();
        try {
          await writeDurably(file, new Uint8Array(bytes));
        } finally {
          await rm(file, { force: true });
        }
      }
    }, signal);
  }

  async find(name: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<FoundImage | undefined> {
    return this.#translate(async () => {
      const path = this.#pathOf(name);
      const url = pathToFileURL(path).href;
      try {
        const png = await readIfThere(path);
        const refusal = (await belongsToAnother(path)) ?? (await belongsToAnother(entriesPath(path)));
        if (png === undefined && refusal === undefined) return undefined;
        const metadata = png === undefined ? undefined : (await readEntries(entriesPath(path)))[sha256(png)];
        return { metadata, url, ...omitUndefined({ refusal }) };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        // Whether it is this file, or the whole folder.
        await this.probe({ sizeBytes: 1 });
        return { metadata: undefined, url, refusal: messageOf(error) };
      }
    }, signal);
  }

  async put(object: ImageObject, options: PutOptions): Promise<PutResult> {
    return this.#translate(async () => {
      const path = this.#pathOf(object.name);
      try {
        await makeFolder(dirname(entriesPath(path)));
        const result = await withFileLock(
          `${entriesPath(path)}.lock`,
          (lock) => {
            options.signal?.throwIfAborted();
            return this.#putLocked(path, { object, options, lock });
          },
          { staleMs: STALE_LOCK_MS },
        );
        return { ...result, url: pathToFileURL(path).href };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        await this.probe({ sizeBytes: object.png.length });
        throw new Text2ImgError(
          'store_refused',
          `the folder ${dirname(path)} takes other files, but ${quote(basename(path))} cannot be written: ${messageOf(error)}.`,
          { cause: error },
        );
      }
    }, options.signal);
  }

  async adopt(name: string, docKey: string): Promise<AdoptOutcome> {
    return this.#translate(async () => {
      const path = this.#pathOf(name);
      if ((await readIfThere(path)) === undefined) return 'absent';
      await makeFolder(dirname(entriesPath(path)));
      const adopt = async (lock: HeldLock): Promise<AdoptOutcome> => {
        const png = await readIfThere(path);
        if (png === undefined) return 'absent';
        const metadata = (await readEntries(entriesPath(path)))[sha256(png)];
        if (metadata !== undefined && whoseObject(metadata.docKey, docKey) !== 'foreign') return 'kept';
        const entry = { [sha256(png)]: { ...(metadata ?? NOBODYS), docKey } };
        await replaceDurably(entriesPath(path), jsonBytes(entry), () => lock.check());
        return 'adopted';
      };
      return withFileLock(`${entriesPath(path)}.lock`, adopt, { staleMs: STALE_LOCK_MS });
    }, undefined);
  }

  async #putLocked(
    path: string,
    { object, options, lock }: { readonly object: ImageObject; readonly options: PutOptions; readonly lock: HeldLock },
  ): Promise<Omit<PutResult, 'url'>> {
    const png = await readIfThere(path);
    if (png === undefined) {
      await writeObject(path, { object, before: {}, lock });
      return { outcome: 'created' };
    }
    const entries = await readEntries(entriesPath(path));
    const metadata = entries[sha256(png)];
    if (metadata === undefined || whoseObject(metadata.docKey, object.metadata.docKey) !== 'same')
      return { outcome: 'foreign', owner: metadata?.docKey };
    if (metadata.runId === object.metadata.runId) return { outcome: 'adopted' };
    if (!(await options.mayReplace())) return { outcome: 'superseded' };
    await writeObject(path, { object, before: entries, lock });
    return { outcome: 'replaced' };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** @param storedUrl as `put` gave it */
  nameOf(storedUrl: string): string {
    return relative(this.#root, fileURLToPath(storedUrl)).split(sep).join('/');
  }

  /** @throws `store_unwritable` for a name that leads out of the folder */
  #pathOf(name: string): string {
    const path = resolve(this.#root, name);
    if (path.startsWith(this.#root.endsWith(sep) ? this.#root : `${this.#root}${sep}`)) return path;
    throw new Text2ImgError('store_unwritable', `the name ${quote(name)} leads out of the folder ${this.#root}.`);
  }

  async #translate<T>(action: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      signal?.throwIfAborted();
      return await action();
    } catch (error) {
      signal?.throwIfAborted();
      throw storeError(error, this.#root);
    }
  }
}

function entriesPath(path: string): string {
  return join(dirname(path), '.meta', `${basename(path)}.json`);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface Writing {
  readonly object: ImageObject;
  /** Entries that stay until the picture is there. */
  readonly before: Entries;
  readonly lock: HeldLock;
}

/** Entry first, picture second, old entries last. */
async function writeObject(path: string, { object, before, lock }: Writing): Promise<void> {
  const { png, metadata } = object;
  const entry = { [sha256(png)]: metadata };
  // A worker that was frozen for longer than its lock lives must not write over what was written since.
  const check = (): Promise<void> => lock.check();
  await replaceDurably(entriesPath(path), jsonBytes({ ...before, ...entry }), check);
  const isNew = Object.keys(before).length === 0;
  await (isNew ? createDurably(path, png, check) : replaceDurably(path, png, check));
  if (!isNew) await replaceDurably(entriesPath(path), jsonBytes(entry), check);
}

function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

async function readEntries(path: string): Promise<Entries> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return {};
  try {
    return entriesSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // Somebody else's file: the picture counts as a stranger's.
    return {};
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readPlainFile(path, MAX_READ_BYTES);
  } catch (error) {
    if (error instanceof FileError && error.fault === 'missing') return undefined;
    throw error;
  }
}

/** In a folder with the sticky bit (`/tmp`, shared volumes) only a file's owner, or the folder's, may replace it. Undefined: nothing is known against it. */
async function belongsToAnother(path: string): Promise<string | undefined> {
  const me = process.geteuid?.();
  if (me === undefined || me === 0) return undefined;
  const file = await stat(path).catch(() => undefined);
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (file === undefined || folder === undefined) return undefined;
  if ((folder.mode & 0o1000) === 0 || file.uid === me || folder.uid === me) return undefined;
  return `${quote(path)} belongs to user ${file.uid}, and this is user ${me}`;
}

/** What the system says of one file that may not be read or written: the folder may take others all the same. */
const REFUSALS: ReadonlySet<string | undefined> = new Set([
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ENOTEMPTY',
  'ENAMETOOLONG',
  'ELOOP',
  'ENXIO',
]);

function isRefusal(error: unknown): boolean {
  if (error instanceof FileError) return !['missing', 'disk-full', 'other'].includes(error.fault);
  return REFUSALS.has(systemCode(error));
}

function storeError(error: unknown, root: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const cause = { cause: error };
  if (isDiskFull(error) || (error instanceof FileError && error.fault === 'disk-full'))
    return new Text2ImgError('disk_full', `no space is left in ${root}.`, cause);
  if (isRefusal(error))
    return new Text2ImgError('store_unwritable', `the folder ${root} cannot be written: ${messageOf(error)}.`, cause);
  return new Text2ImgError('store_failed', `the folder ${root} cannot be used: ${messageOf(error)}.`, cause);
}
