/**
 * Images as files of a folder, with the guarantees of a bucket: all or nothing, and never a stranger's object overwritten.
 *
 * A bucket keeps metadata with each object. Here it lies in `.meta/<name>.json` beside the image, as entries by the image's SHA-256. The store
 * writes the new entry before the new image, and removes the old entry after it. So after a crash at any point the image has its own entry.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, rm } from 'node:fs/promises';
import { basename, dirname, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { type HeldLock, withFileLock } from '../../lib/file-lock.ts';
import { quote } from '../../lib/foreign-text.ts';
import { FileError, type FileFault } from '../../lib/plain-file.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';
import { whoseObject } from '../doc-key.ts';
import { makeStoreFolder, replaceDurably, writeDurably } from './durable-files.ts';
import {
  entriesPath,
  jsonBytes,
  META_FOLDER,
  readEntries,
  readIfThere,
  readStored,
  removeObject,
  sha256,
  writeObject,
} from './file-objects.ts';
import { belongsToAnother, isRefusal, storeError } from './file-store-errors.ts';
import type {
  AdoptOutcome,
  BytePart,
  FoundImage,
  ImageObject,
  ImageStore,
  OpenImage,
  ProbeOptions,
  PutResult,
  ReadImage,
  ReadOptions,
  RemoveOutcome,
} from '../image-store.ts';
import { openObject, piecesOf } from './open-object.ts';
import { probeKey } from '../object-key.ts';
import { DEFAULT_OBJECT_PREFIX } from '../object-prefix.ts';
import { checkReadable, isObjectName } from '../readable-image.ts';

interface PutOptions {
  readonly mayReplace: () => Promise<boolean>;
  readonly signal?: AbortSignal;
}

/** A lock that nobody touched for so long is a dead container's. Writing an image takes milliseconds, and touches it all the while. */
const STALE_LOCK_MS = 10_000;
/** Metadata for an adopted image that text2img did not write. */
const NOBODYS = { runId: 'adopted', seed: 0, model: '' } as const;
/** Under such a name lies no object. */
const NO_OBJECTS: ReadonlySet<FileFault> = new Set(['missing', 'folder', 'not-plain', 'name-too-long']);

/** @throws any error but one that says that there is no such object */
function noObject(error: unknown): undefined {
  if (!(error instanceof FileError)) throw error;
  if (NO_OBJECTS.has(error.fault)) return undefined;
  if (error.fault === 'too-large') throw new Text2ImgError('image_too_large', `${error.message}.`, { cause: error });
  if (error.fault === 'denied') throw new Text2ImgError('store_refused', `${error.message}.`, { cause: error });
  throw error;
}

export class FileImageStore implements ImageStore {
  readonly description: string;
  readonly #root: string;
  readonly #prefix: string;

  /**
   * @param root object names are relative to it
   * @param options.prefix object names begin with it
   */
  constructor(root: string, { prefix = DEFAULT_OBJECT_PREFIX }: { readonly prefix?: string } = {}) {
    this.#root = resolve(root);
    this.#prefix = prefix;
    this.description = `the folder ${this.#root}`;
  }

  async check({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.probe({ sizeBytes: 4096, ...omitUndefined({ signal }) });
  }

  /** Writes where an image and where its entry would lie, and removes both. */
  async probe({ sizeBytes, signal }: ProbeOptions): Promise<void> {
    await this.#translate(async () => {
      const name = `${probeKey(this.#prefix)}-${randomBytes(6).toString('hex')}`;
      const path = this.#pathOf(name);
      await makeStoreFolder(dirname(entriesPath(path)));
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
        const stored = await readStored(path);
        const refusal = (await belongsToAnother(path)) ?? (await belongsToAnother(entriesPath(path)));
        if (stored === undefined && refusal === undefined) return undefined;
        return { metadata: stored?.metadata, url, ...omitUndefined({ refusal }) };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        // Whether it is this file, or the whole folder.
        await this.probe({ sizeBytes: 1 });
        return { metadata: undefined, url, refusal: messageOf(error) };
      }
    }, signal);
  }

  async read(name: string, options: ReadOptions): Promise<ReadImage | undefined> {
    return this.#translate(async () => {
      const path = this.#readablePath(name);
      if (path === undefined) return undefined;
      try {
        const stored = await readStored(path, options.maxBytes);
        if (stored === undefined) return undefined;
        const { bytes, metadata, sum: generation } = stored;
        checkReadable({ url: pathToFileURL(path).href, metadata, sizeBytes: bytes.length }, options);
        return { bytes, metadata, generation };
      } catch (error) {
        return noObject(error);
      }
    }, options.signal);
  }

  async open(name: string, options: ReadOptions): Promise<OpenImage | undefined> {
    return this.#translate(async () => {
      const path = this.#readablePath(name);
      const opened = path === undefined ? undefined : await openObject(path, options.maxBytes).catch(noObject);
      if (path === undefined || opened === undefined) return undefined;
      const { handle, sizeBytes, md5, sha256: generation, metadata } = opened;
      const close = (): Promise<void> => handle.close();
      try {
        checkReadable({ url: pathToFileURL(path).href, metadata, sizeBytes }, options);
      } catch (error) {
        await close();
        throw error;
      }
      const pieces = (part: BytePart = { start: 0, end: sizeBytes - 1 }) => this.#pieces(handle, part);
      return { sizeBytes, md5, metadata, generation, pieces, [Symbol.asyncDispose]: close };
    }, options.signal);
  }

  async *#pieces(handle: FileHandle, part: BytePart): AsyncGenerator<Uint8Array, void> {
    try {
      yield* piecesOf(handle, part);
    } catch (error) {
      throw storeError(error, this.#root);
    }
  }

  async put(object: ImageObject, options: PutOptions): Promise<PutResult> {
    return this.#translate(async () => {
      const path = this.#pathOf(object.name);
      try {
        await makeStoreFolder(dirname(entriesPath(path)));
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
      await makeStoreFolder(dirname(entriesPath(path)));
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

  async remove(
    name: string,
    docKey: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<RemoveOutcome> {
    return this.#translate(async () => {
      const path = this.#readablePath(name);
      if (path === undefined) return 'absent';
      try {
        const stored = await readStored(path);
        if (stored === undefined) return 'absent';
        // Without an entry there need not be the folder in which the lock lies.
        if (stored.metadata === undefined) return 'foreign';
        const remove = (lock: HeldLock): Promise<RemoveOutcome> => {
          signal?.throwIfAborted();
          return removeObject(path, { docKey, lock });
        };
        return await withFileLock(`${entriesPath(path)}.lock`, remove, { staleMs: STALE_LOCK_MS });
      } catch (error) {
        if (error instanceof FileError && NO_OBJECTS.has(error.fault)) return 'absent';
        if (!isRefusal(error)) throw error;
        throw new Text2ImgError('store_refused', `${quote(path)} cannot be deleted: ${messageOf(error)}.`, {
          cause: error,
        });
      }
    }, signal);
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

  /** Undefined for a name that has no object in a bucket either. It leads out of the folder, or to a file that the store keeps beside the images. */
  #readablePath(name: string): string | undefined {
    if (!isObjectName(name)) return undefined;
    const path = resolve(this.#root, name);
    const inside = relative(this.#root, path).split(sep);
    // As in a bucket each object has one name.
    const isItsName = inside[0] !== '..' && inside.join('/') === name;
    return isItsName && !inside.includes(META_FOLDER) ? path : undefined;
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
