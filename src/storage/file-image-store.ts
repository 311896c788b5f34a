/**
 * Pictures as files of a folder, with the same promises as a bucket: all or nothing, and never a stranger's object overwritten.
 *
 * What a bucket keeps as an object's metadata lies in `.meta/<name>.json` beside it, as entries by the picture's SHA-256. The new entry
 * is there before the new picture, and the old one goes after it, so a crash at any point leaves a picture whose own entry is there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, readlink, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isDiskFull, messageOf } from '../lib/disk-errors.ts';
import { quote } from '../lib/foreign-text.ts';
import { withFileLock } from '../lib/file-lock.ts';
import type {
  FoundImage,
  ImageMetadata,
  ImageObject,
  ImageStore,
  ProbeOptions,
  PutOutcome,
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

  async check(): Promise<void> {
    await this.probe({ sizeBytes: 4096 });
  }

  async probe({ sizeBytes, signal }: ProbeOptions): Promise<void> {
    await this.#translate(async () => {
      const path = `${join(this.#root, probeKey(this.#prefix))}-${randomBytes(6).toString('hex')}`;
      await makeFolder(dirname(path));
      signal?.throwIfAborted();
      try {
        await writeDurably(path, new Uint8Array(sizeBytes));
      } finally {
        await rm(path, { force: true });
      }
    }, signal);
  }

  async find(name: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<FoundImage | undefined> {
    return this.#translate(async () => {
      const path = join(this.#root, name);
      const png = await readIfThere(path);
      if (png === undefined) return undefined;
      const entries = await readEntries(entriesPath(path));
      return { metadata: entries[sha256(png)], url: pathToFileURL(path).href };
    }, signal);
  }

  async put(object: ImageObject, options: PutOptions): Promise<PutResult> {
    return this.#translate(async () => {
      const path = join(this.#root, object.name);
      await makeFolder(join(dirname(path), '.meta'));
      return withFileLock(`${entriesPath(path)}.lock`, async () => {
        options.signal?.throwIfAborted();
        return { outcome: await this.#putLocked(path, object, options), url: pathToFileURL(path).href };
      });
    }, options.signal);
  }

  async #putLocked(path: string, object: ImageObject, { mayReplace }: PutOptions): Promise<PutOutcome> {
    const existing = await this.find(object.name);
    if (existing === undefined) {
      await writeObject(path, object, {});
      return 'created';
    }
    const { metadata } = existing;
    if (metadata === undefined || metadata.docKey !== object.metadata.docKey) return 'foreign';
    if (metadata.runId === object.metadata.runId) return 'adopted';
    if (!(await mayReplace())) return 'superseded';
    await writeObject(path, object, await readEntries(entriesPath(path)));
    return 'replaced';
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #translate<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
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

/** Entry first, picture second, old entries last. */
async function writeObject(path: string, { png, metadata }: ImageObject, before: Entries): Promise<void> {
  const entry = { [sha256(png)]: metadata };
  await replaceDurably(entriesPath(path), new TextEncoder().encode(JSON.stringify({ ...before, ...entry })));
  const isNew = Object.keys(before).length === 0;
  await (isNew ? createDurably(path, png) : replaceDurably(path, png));
  if (!isNew) await replaceDurably(entriesPath(path), new TextEncoder().encode(JSON.stringify(entry)));
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
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @throws `store_unwritable` with the reason: for a link that leads to nothing, or a read-only disk, the system only says that something is missing */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if (isDiskFull(error)) throw error;
    const link = await readlink(path).catch(() => undefined);
    const why = link === undefined ? messageOf(error) : `it is a link to ${quote(link)}, which cannot be used`;
    throw new Text2ImgError('store_unwritable', `the folder ${quote(path)} cannot be made: ${why}.`, { cause: error });
  }
}

/** The bytes are on the disk when this returns. */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx');
  await file.writeFile(bytes);
  await file.sync();
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder.
  if (process.platform === 'win32') return;
  await using handle = await open(folder, 'r');
  await handle.sync();
}

async function viaDraft(path: string, bytes: Uint8Array, publish: (draft: string) => Promise<void>): Promise<void> {
  const draft = join(dirname(path), `.draft-${process.pid}-${Math.random().toString(36).slice(2)}`);
  try {
    await writeDurably(draft, bytes);
    await publish(draft);
    await syncFolder(dirname(path));
  } finally {
    await rm(draft, { force: true });
  }
}

async function replaceDurably(path: string, bytes: Uint8Array): Promise<void> {
  await viaDraft(path, bytes, (draft) => rename(draft, path));
}

/** Fails where `path` exists already: a link, unlike a rename, never overwrites. */
async function createDurably(path: string, bytes: Uint8Array): Promise<void> {
  await viaDraft(path, bytes, (draft) => link(draft, path));
}

/** What the system says where writing is not allowed, or the path is not a folder. */
const REFUSALS: ReadonlySet<string> = new Set(['EROFS', 'EACCES', 'EPERM', 'ENOTDIR', 'EEXIST']);

function storeError(error: unknown, root: string): unknown {
  if (error instanceof Text2ImgError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (isDiskFull(error)) return new Text2ImgError('disk_full', `no space is left in ${root}.`, { cause: error });
  if (code !== undefined && REFUSALS.has(code)) {
    return new Text2ImgError('store_unwritable', `the folder ${root} cannot be written: ${message}.`, { cause: error });
  }
  return new Text2ImgError('store_failed', `the folder ${root} cannot be used: ${message}.`, { cause: error });
}
