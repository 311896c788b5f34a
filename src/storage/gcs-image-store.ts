/**
 * Pictures as objects of a Google Cloud Storage bucket.
 *
 * One conditional multipart upload each: the precondition makes every repetition harmless, and the server itself compares the MD5, so that no
 * corrupt byte is ever visible. Deadlines and repetitions are ours: the official client retries nothing after one upload without preconditions
 * (it then turns retries off for the whole client), its validation deletes the object where the sums differ, and an upload can hang.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bucket, type File, Storage } from '@google-cloud/storage';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { Logger } from '../observability/logger.ts';
import { readCredentialsFile } from './google-credentials.ts';
import { gcsError, verdictOf } from './gcs-errors.ts';
import type { ImageMetadata, ImageObject, ImageStore, PutOutcome, PutResult } from './image-store.ts';

export interface GcsImageStoreOptions {
  readonly bucket: string;
  readonly logger: Logger;
  /** What `GOOGLE_APPLICATION_CREDENTIALS` names; Google's client reads the variable itself. Without one it looks for the machine's account. */
  readonly credentialsFile: string | undefined;
  /** Another server than Google's: an emulator, which is asked without credentials. */
  readonly apiEndpoint: string | undefined;
  /** One try. */
  readonly tryMs?: number;
  /** All tries of one call. */
  readonly deadlineMs?: number;
}

interface PutOptions {
  readonly mayReplace: () => Promise<boolean>;
  readonly signal?: AbortSignal;
}

/** Who wrote the object that is there. */
interface Existing {
  readonly generation: string;
  readonly metadata: ImageMetadata | undefined;
}

const TRY_MS = 30_000;
const DEADLINE_MS = 120_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;
/** Each look after a lost race finds another writer; so many in a row there are not. */
const MAX_RACES = 10;

const NEEDED = ['storage.objects.create', 'storage.objects.get'] as const;
/** Only for a second run of the same prompt: an overwrite counts as deleting. */
const NEEDED_TO_REPLACE = 'storage.objects.delete';
const SIGNED_URL_MS = 7 * 24 * 60 * 60_000;

export class GcsImageStore implements ImageStore {
  readonly description: string;
  readonly #options: GcsImageStoreOptions;
  readonly #bucket: Bucket;

  constructor(options: GcsImageStoreOptions) {
    this.#options = options;
    const { bucket, apiEndpoint } = options;
    const storage = new Storage({
      // An emulator knows no accounts; the client takes an endpoint of this name as one that needs no sign-in.
      ...(apiEndpoint === undefined ? {} : { apiEndpoint, projectId: 'emulator' }),
      retryOptions: { autoRetry: false, maxRetries: 0 },
    });
    this.#bucket = storage.bucket(bucket);
    this.description = apiEndpoint === undefined ? `gs://${bucket}` : `gs://${bucket} at ${apiEndpoint}`;
  }

  async check(): Promise<void> {
    const { bucket, logger, credentialsFile } = this.#options;
    if (credentialsFile !== undefined) readCredentialsFile(credentialsFile);
    const wanted = [...NEEDED, NEEDED_TO_REPLACE];
    const granted = await this.#try(async () => {
      try {
        const [permissions] = await this.#bucket.iam.testPermissions(wanted);
        return wanted.filter((permission) => permissions[permission] === true);
      } catch (error) {
        // An emulator without that method is asked for the bucket; so is Google, which then says that there is none.
        if (![400, 404, 405, 501].includes(Number((error as { code?: unknown }).code))) throw error;
        await this.#bucket.getMetadata();
        return wanted;
      }
    });
    const missing = NEEDED.filter((permission) => !granted.includes(permission));
    if (missing.length > 0)
      throw new Text2ImgError(
        'store_unwritable',
        `this account lacks ${missing.join(' and ')} on the bucket ${bucket}; the role roles/storage.objectUser has what is needed.`,
      );
    if (!granted.includes(NEEDED_TO_REPLACE))
      logger.warning('pictures of an earlier run cannot be replaced: a permission on the bucket is missing', {
        bucket,
        permission: NEEDED_TO_REPLACE,
      });
  }

  async find(
    name: string,
  ): Promise<{ readonly metadata: ImageMetadata | undefined; readonly url: string } | undefined> {
    const existing = await this.#read(this.#bucket.file(name));
    return existing === undefined ? undefined : { metadata: existing.metadata, url: this.#urlOf(name) };
  }

  async put(object: ImageObject, { mayReplace, signal }: PutOptions): Promise<PutResult> {
    const url = this.#urlOf(object.name);
    const file = this.#bucket.file(object.name);
    let generation = '0';
    for (let race = 0; race < MAX_RACES; race++) {
      if (await this.#upload(file, object, { generation, signal }))
        return { outcome: generation === '0' ? 'created' : 'replaced', url };
      const existing = await this.#read(file, signal);
      const outcome = await decide(existing, object, mayReplace);
      if (outcome !== undefined) return { outcome, url };
      generation = existing?.generation ?? '0';
    }
    throw new Text2ImgError('store_failed', `the object ${url} is written by others again and again.`);
  }

  /** A link that everybody can open for seven days, signed with the key file. @param storedUrl `gs://…` */
  async signedUrl(storedUrl: string): Promise<string> {
    const name = storedUrl.slice(this.#urlOf('').length);
    return this.#try(async () => {
      const [url] = await this.#bucket
        .file(name)
        .getSignedUrl({ version: 'v4', action: 'read', expires: Date.now() + SIGNED_URL_MS });
      return url;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #urlOf(name: string): string {
    return `gs://${this.#options.bucket}/${name}`;
  }

  /** False: another generation than this one is there. Repeating it after a lost answer meets our own object, which then is adopted. */
  async #upload(
    file: File,
    { png, metadata }: ImageObject,
    { generation, signal }: { readonly generation: string; readonly signal: AbortSignal | undefined },
  ): Promise<boolean> {
    const { tryMs = TRY_MS } = this.#options;
    const md5Hash = createHash('md5').update(png).digest('base64');
    const { runId, docKey, seed, model } = metadata;
    return this.#try(async () => {
      try {
        await file.save(Buffer.from(png.buffer, png.byteOffset, png.byteLength), {
          resumable: false,
          validation: false,
          timeout: tryMs,
          preconditionOpts: { ifGenerationMatch: generation },
          metadata: {
            contentType: 'image/png',
            md5Hash,
            metadata: { run_id: runId, doc_key: docKey, seed: String(seed), model },
          },
        });
        return true;
      } catch (error) {
        if (verdictOf(error) === 'conflict') return false;
        throw error;
      }
    }, signal);
  }

  async #read(file: File, signal?: AbortSignal): Promise<Existing | undefined> {
    return this.#try(async () => {
      try {
        const [{ generation, metadata }] = await file.getMetadata();
        return { generation: String(generation), metadata: ownMetadata(metadata) };
      } catch (error) {
        if (verdictOf(error) === 'missing') return undefined;
        throw error;
      }
    }, signal);
  }

  /** One call, repeated while another try may do it. @throws `store_failed`, `store_unwritable`; what the signal was aborted with */
  async #try<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { tryMs = TRY_MS, deadlineMs = DEADLINE_MS, logger } = this.#options;
    const startedMs = performance.now();
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      try {
        signal?.throwIfAborted();
        return await within(call(), tryMs, signal);
      } catch (error) {
        signal?.throwIfAborted();
        const isOver = performance.now() - startedMs + pauseMs > deadlineMs;
        if (isOver || verdictOf(error) !== 'transient') throw gcsError(error, this.#options);
        logger.debug('a call to the bucket failed and is repeated', { error: gcsError(error, this.#options).message });
        await sleep(pauseMs * (0.5 + Math.random()));
      }
    }
  }
}

/** What becomes of an upload that met an object; undefined: try again over the generation that was read. */
async function decide(
  existing: Existing | undefined,
  { metadata: own }: ImageObject,
  mayReplace: () => Promise<boolean>,
): Promise<PutOutcome | undefined> {
  if (existing === undefined) return undefined;
  const { metadata } = existing;
  if (metadata === undefined || metadata.docKey !== own.docKey) return 'foreign';
  if (metadata.runId === own.runId) return 'adopted';
  return (await mayReplace()) ? undefined : 'superseded';
}

/** Undefined for an object that this program did not write. */
function ownMetadata(custom: Readonly<Record<string, unknown>> | undefined): ImageMetadata | undefined {
  const { run_id: runId, doc_key: docKey, seed, model } = custom ?? {};
  if (typeof runId !== 'string' || typeof docKey !== 'string') return undefined;
  return { runId, docKey, seed: Number(seed), model: String(model) };
}

/** A call that hangs is given up; what comes of it later is harmless, because of its precondition. */
async function within<T>(call: Promise<T>, ms: number, signal: AbortSignal | undefined): Promise<T> {
  call.catch(() => undefined);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms} ms`)), ms);
  const abort = (): void => late.reject(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([call, late.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
