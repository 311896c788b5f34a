/**
 * Pictures as objects of a Google Cloud Storage bucket. Each is written by one conditional request: the server compares generations, so that of
 * two writers one wins and the other one sees it, and it compares the MD5, so that damaged bytes are never stored.
 *
 * A precondition that failed (412) is not an error but a question: whose object is there? Ours (a lost answer, an earlier attempt) is adopted, another
 * run's is replaced by exactly the generation that was looked at and only by the claim's owner, a stranger's is left alone.
 */
import { createHash } from 'node:crypto';
import { type Bucket, Storage } from '@google-cloud/storage';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { Logger } from '../observability/logger.ts';
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
import { isConditionNotMet, missingBucket, missingPermission, statusOf, storeError } from './gcs-errors.ts';
import { fromCustomMetadata, isSameDocument, toCustomMetadata } from './gcs-metadata.ts';
import { withDeadline } from './gcs-requests.ts';
import { retrying } from './gcs-retry.ts';
import { readCredentialsFile } from './google-credentials.ts';

export interface GcsImageStoreOptions {
  readonly bucket: string;
  readonly logger: Logger;
  /** What `GOOGLE_APPLICATION_CREDENTIALS` names: Google's client reads the variable itself. Without it the machine's account is looked for. */
  readonly credentialsFile: string | undefined;
  /** An emulator's URL instead of Google's; it is sent no credentials. */
  readonly apiEndpoint: string | undefined;
  /** What the objects' names begin with; the probe's too. */
  readonly prefix?: string;
  /** How long one try may take. */
  readonly tryMs?: number;
  /** How long a request is repeated. */
  readonly deadlineMs?: number;
}

const GOOGLE_ENDPOINT = 'https://storage.googleapis.com';
const NEEDED = ['storage.objects.create', 'storage.objects.get'] as const;
/** Replacing an object needs the right to delete the old one. */
const FOR_RERUNS = 'storage.objects.delete';
/** The most that V4 signatures allow; `webhook/retry-schedule.ts` is over before. */
const SIGNED_URL_MS = 7 * 24 * 60 * 60_000;
const DEADLINE_MS = 180_000;
/** 10 MB at 2 Mbit/s. */
const TRY_MS = 45_000;
/** The check at the start: a wrong address is to be told soon. */
const CHECK_DEADLINE_MS = 15_000;
/** Every round means that somebody else wrote or deleted the object between our look and our write. */
const MAX_ROUNDS = 8;
/** The generation of an object that does not exist. */
const ABSENT = '0';
const PROBE_CONTENT = 'text2img writes this object to find out whether the bucket takes any. It may be deleted.\n';

interface StoredObject {
  readonly metadata: ImageMetadata | undefined;
  /** A 64-bit number, as text. */
  readonly generation: string;
}

interface PutOptions {
  readonly mayReplace: () => Promise<boolean>;
  readonly signal?: AbortSignal;
}

interface ReplaceOptions {
  readonly generation: string;
  readonly mayReplace: () => Promise<boolean>;
  readonly signal: AbortSignal | undefined;
}

interface RequestLimits {
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number;
}

export class GcsImageStore implements ImageStore {
  readonly description: string;
  readonly #options: GcsImageStoreOptions;
  readonly #storage: Storage;
  readonly #bucket: Bucket;

  constructor(options: GcsImageStoreOptions) {
    this.#options = options;
    this.#storage = createClient(options);
    this.#bucket = this.#storage.bucket(options.bucket);
    const { apiEndpoint, bucket } = options;
    this.description = `gs://${bucket}${apiEndpoint === undefined ? '' : ` at ${apiEndpoint}`}`;
  }

  async check(): Promise<void> {
    const { apiEndpoint, credentialsFile, deadlineMs = CHECK_DEADLINE_MS } = this.#options;
    const limits = { deadlineMs: Math.min(deadlineMs, CHECK_DEADLINE_MS) };
    if (credentialsFile !== undefined) readCredentialsFile(credentialsFile);
    // First, so that missing credentials are told as such, not as whatever the bucket says to a nameless caller.
    if (apiEndpoint === undefined)
      await this.#request('credentials', () => this.#storage.authClient.getAccessToken(), limits);
    const granted = await this.#request('check', () => this.#grantedPermissions(), limits);
    const missing = NEEDED.filter((permission) => !granted.includes(permission));
    if (missing.length > 0) throw missingPermission(this.#options.bucket, missing);
    if (!granted.includes(FOR_RERUNS)) {
      this.#options.logger.warning(
        'pictures of an earlier run cannot be replaced: a permission on the bucket is missing',
        {
          bucket: this.#options.bucket,
          permission: FOR_RERUNS,
          role: 'roles/storage.objectUser',
        },
      );
    }
  }

  /** Asks which rights there are, not for the bucket itself: healthy minimal roles lack `storage.buckets.get`. */
  async #grantedPermissions(): Promise<readonly string[]> {
    const wanted = [...NEEDED, FOR_RERUNS];
    try {
      const [permissions] = await this.#bucket.iam.testPermissions(wanted);
      return wanted.filter((permission) => permissions[permission] === true);
    } catch (error) {
      const status = statusOf(error);
      if (status === 404 && this.#options.apiEndpoint === undefined) throw missingBucket(this.#options.bucket);
      // An emulator without that method is asked for the bucket.
      if (this.#options.apiEndpoint === undefined || ![400, 404, 405, 501].includes(status ?? 0)) throw error;
      await this.#bucket.getMetadata();
      return wanted;
    }
  }

  async find(name: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<FoundImage | undefined> {
    const stored = await this.#look(name, signal);
    return stored === undefined ? undefined : { metadata: stored.metadata, url: this.#urlOf(name) };
  }

  /** The probe's object stays: the next one meets it, and hears that the bucket would have taken it. */
  async probe({ signal }: ProbeOptions): Promise<void> {
    const name = probeKey(this.#options.prefix ?? DEFAULT_OBJECT_PREFIX);
    await this.#request('probe', () => this.#uploadProbe(name), { signal, deadlineMs: 0 });
  }

  async #uploadProbe(name: string): Promise<void> {
    try {
      await this.#bucket.file(name).save(PROBE_CONTENT, {
        resumable: false,
        validation: false,
        preconditionOpts: { ifGenerationMatch: ABSENT },
        metadata: { contentType: 'text/plain' },
      });
    } catch (error) {
      if (!isConditionNotMet(error)) throw error;
    }
  }

  async put(object: ImageObject, options: PutOptions): Promise<PutResult> {
    options.signal?.throwIfAborted();
    return { outcome: await this.#put(object, options), url: this.#urlOf(object.name) };
  }

  async #put(object: ImageObject, { mayReplace, signal }: PutOptions): Promise<PutOutcome> {
    let existing: StoredObject | undefined;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (existing === undefined) {
        if (await this.#create(object, signal)) return 'created';
      } else {
        const { metadata, generation } = existing;
        if (metadata === undefined || !isSameDocument(metadata, object.metadata)) return 'foreign';
        if (metadata.runId === object.metadata.runId) return 'adopted';
        const outcome = await this.#replace(object, { generation, mayReplace, signal });
        if (outcome !== 'changed') return outcome;
      }
      existing = await this.#look(object.name, signal);
    }
    throw new Text2ImgError(
      'store_failed',
      `the object ${this.#urlOf(object.name)} was changed by others ${MAX_ROUNDS} times while it was written.`,
    );
  }

  /** False: something is there. */
  async #create(object: ImageObject, signal: AbortSignal | undefined): Promise<boolean> {
    return this.#request('create', () => this.#upload(object, ABSENT), { signal });
  }

  async #replace(
    object: ImageObject,
    { generation, mayReplace, signal }: ReplaceOptions,
  ): Promise<PutOutcome | 'changed'> {
    // Asked before every try, outside of the try's deadline: a pause between two of them may have cost the claim.
    return this.#repeat(
      'replace',
      async () => {
        if (!(await mayReplace())) return 'superseded';
        return (await this.#try(() => this.#upload(object, generation), signal)) ? 'replaced' : 'changed';
      },
      { signal },
    );
  }

  /** One request. False: the object's generation is not `generation`. */
  async #upload({ name, png, metadata }: ImageObject, generation: string): Promise<boolean> {
    try {
      await this.#bucket.file(name).save(Buffer.from(png.buffer, png.byteOffset, png.byteLength), {
        resumable: false,
        // The client's own validation would delete the object when it differs: the server's refuses to store it.
        validation: false,
        preconditionOpts: { ifGenerationMatch: generation },
        metadata: {
          contentType: 'image/png',
          md5Hash: createHash('md5').update(png).digest('base64'),
          metadata: { ...toCustomMetadata(metadata) },
        },
      });
      return true;
    } catch (error) {
      if (isConditionNotMet(error)) return false;
      throw error;
    }
  }

  async #look(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    return this.#request(
      'look',
      async () => {
        try {
          const [{ generation, metadata }] = await this.#bucket.file(name).getMetadata();
          return { metadata: fromCustomMetadata(metadata), generation: String(generation) };
        } catch (error) {
          if (statusOf(error) === 404) return undefined;
          throw error;
        }
      },
      { signal },
    );
  }

  /** A link that everybody can open for seven days, signed with the key file. @param storedUrl `gs://…` */
  async signedUrl(storedUrl: string): Promise<string> {
    const name = storedUrl.slice(this.#urlOf('').length);
    return this.#request(
      'sign',
      async () => {
        const now = Date.now();
        const options = { version: 'v4', action: 'read', accessibleAt: now, expires: now + SIGNED_URL_MS } as const;
        const [url] = await this.#bucket.file(name).getSignedUrl(options);
        return url;
      },
      {},
    );
  }

  #urlOf(name: string): string {
    return `gs://${this.#options.bucket}/${name}`;
  }

  /** Tries with a deadline each, repeated. */
  async #request<T>(what: string, action: () => Promise<T>, limits: RequestLimits): Promise<T> {
    return this.#repeat(what, () => this.#try(action, limits.signal), limits);
  }

  async #try<T>(action: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return withDeadline(action, { tryMs: this.#options.tryMs ?? TRY_MS, signal });
  }

  async #repeat<T>(what: string, action: () => Promise<T>, { signal, deadlineMs }: RequestLimits): Promise<T> {
    const { logger, bucket } = this.#options;
    try {
      return await retrying(action, {
        what,
        deadlineMs: deadlineMs ?? this.#options.deadlineMs ?? DEADLINE_MS,
        signal,
        logger,
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw storeError(error, bucket);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The client library with its traps disarmed. */
function createClient({ apiEndpoint }: GcsImageStoreOptions): Storage {
  const endpoint = (apiEndpoint ?? GOOGLE_ENDPOINT).replace(/\/+$/, '');
  const storage = new Storage({
    apiEndpoint: endpoint,
    // The library takes an empty STORAGE_EMULATOR_HOST for an emulator, to which it would send no credentials.
    useAuthWithCustomEndpoint: apiEndpoint === undefined,
    // One upload without preconditions would turn its retries off for the whole client, and only ours know what a 412 means.
    retryOptions: { autoRetry: false },
    ...(apiEndpoint === undefined ? {} : { projectId: 'emulator' }),
  });
  // Where STORAGE_EMULATOR_HOST is set, the library would ask for metadata there without the API's path, and without a scheme fail.
  storage.baseUrl = `${endpoint}/storage/v1`;
  return storage;
}
