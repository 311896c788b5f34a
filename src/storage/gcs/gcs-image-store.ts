/**
 * Images as objects of a Google Cloud Storage bucket. One conditional request writes each object. The server compares generations, so that of two
 * writers one wins and the other one sees it. It also compares the MD5, so that it never stores damaged bytes.
 *
 * A precondition that failed (412) is not an error but a question: whose object is there? The store adopts this run's own object (a lost answer, an
 * earlier attempt). It replaces another run's object only for the worker with the claim, and only the generation that it looked at. It leaves a
 * stranger's object alone.
 */
import { createHash } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { whoseObject } from '../doc-key.ts';
import { type ObjectAnswer, readObject, readUploaded, refusalOf, UnbelievableAnswerError } from './gcs-answers.ts';
import type { GcsClient } from './gcs-client.ts';
import { CHECK_DEADLINE_MS, checkBucket, type CheckedOptions } from './gcs-check.ts';
import { type Action, GcsConnection } from './gcs-connection.ts';
import { isConditionNotMet, isRefusal, refusedImage, statusOf } from './gcs-errors.ts';
import { fromCustomMetadata, toCustomMetadata } from './gcs-metadata.ts';
import { openGeneration, wholeImage } from './gcs-open.ts';
import { readGeneration } from './gcs-read.ts';
import { removeGeneration } from './gcs-remove.ts';
import type { OnProgress } from './gcs-requests.ts';
import type {
  AdoptOutcome,
  FoundImage,
  ImageMetadata,
  ImageObject,
  ImageStore,
  OpenImage,
  ProbeOptions,
  PutOutcome,
  PutResult,
  ReadImage,
  ReadOptions,
  RemoveOutcome,
} from '../image-store.ts';
import { probeKey } from '../object-key.ts';
import { DEFAULT_OBJECT_PREFIX } from '../object-prefix.ts';
import { checkReadable, isObjectName } from '../readable-image.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';

export interface GcsImageStoreOptions extends CheckedOptions {
  /** The objects' names begin with it; the probe's too. */
  readonly prefix?: string;
}

/** The most that V4 signatures allow; `webhook/retry-schedule.ts` is over before. */
const SIGNED_URL_MS = 7 * 24 * 60 * 60_000;
/** Somebody may have mended the bucket between the refusal and the probe: only the second refusal that a good probe follows is final. */
const FINAL_REFUSALS = 2;
/** Every round means that somebody else wrote or deleted the object between our look and our write. */
const MAX_ROUNDS = 8;
/** The generation of an object that does not exist. */
const ABSENT = '0';
/** Metadata for an adopted object that text2img did not write. */
const NOBODYS = { runId: 'adopted', seed: 0, model: '' } as const;
const PROBE = new TextEncoder().encode(
  'text2img writes this object to find out whether the bucket takes any. It may be deleted.\n',
);

interface StoredObject {
  readonly metadata: ImageMetadata | undefined;
  /** A 64-bit number, as text. */
  readonly generation: string;
  readonly refusal: string | undefined;
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

export class GcsImageStore implements ImageStore {
  readonly description: string;
  readonly #options: GcsImageStoreOptions;
  readonly #connection: GcsConnection;

  constructor(options: GcsImageStoreOptions) {
    this.#options = options;
    this.#connection = new GcsConnection(options);
    const { apiEndpoint, bucket } = options;
    this.description = `gs://${bucket}${apiEndpoint === undefined ? '' : ` at ${apiEndpoint}`}`;
  }

  async check({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await checkBucket(this.#connection, this.#options, signal);
  }

  async find(name: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<FoundImage | undefined> {
    const stored = await this.#look(name, signal);
    if (stored === undefined) return undefined;
    const { metadata, refusal } = stored;
    return { metadata, url: this.#urlOf(name), ...omitUndefined({ refusal }) };
  }

  async read(name: string, options: ReadOptions): Promise<ReadImage | undefined> {
    const { maxBytes, signal } = options;
    const url = this.#urlOf(name);
    const read: Action<ReadImage | undefined> = async (client, onProgress) => {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const object = await this.#describe(client, name);
        if (object === undefined) return undefined;
        const { generation, size } = object;
        const metadata = fromCustomMetadata(object.metadata);
        checkReadable({ url, metadata, sizeBytes: size === undefined ? undefined : Number(size) }, options);
        const bytes = await readGeneration(client, { object, url, maxBytes, onProgress });
        if (bytes !== undefined) return { bytes, metadata, generation };
      }
      throw this.#changedByOthers(name, 'read');
    };
    return isObjectName(name) ? this.#connection.request('read', read, { signal }) : undefined;
  }

  async open(name: string, options: ReadOptions): Promise<OpenImage | undefined> {
    const url = this.#urlOf(name);
    const look: Action<ObjectAnswer | undefined> = (client) => this.#describe(client, name);
    const { signal } = options;
    const object = isObjectName(name) ? await this.#connection.request('look', look, { signal }) : undefined;
    if (object === undefined) return undefined;
    const { size } = object;
    // Some emulators leave it out.
    if (size === undefined) return wholeImage(await this.read(name, options));
    checkReadable({ url, metadata: fromCustomMetadata(object.metadata), sizeBytes: Number(size) }, options);
    return openGeneration({ connection: this.#connection, object: { ...object, size }, url });
  }

  async adopt(name: string, docKey: string): Promise<AdoptOutcome> {
    const { bucket } = this.#options;
    const adopt = async (client: GcsClient): Promise<AdoptOutcome> => {
      const object = await this.#describe(client, name);
      if (object === undefined) return 'absent';
      const { generation, metageneration } = object;
      const metadata = fromCustomMetadata(object.metadata);
      if (metadata !== undefined && whoseObject(metadata.docKey, docKey) !== 'foreign') return 'kept';
      const custom = { ...toCustomMetadata({ ...(metadata ?? NOBODYS), docKey }) };
      const answer = await client.changeMetadata(name, { generation, metageneration, custom });
      const changed = readObject('change of metadata', answer, { bucket, name });
      if (
        changed.generation !== generation ||
        fromCustomMetadata(changed.metadata)?.docKey !== fromCustomMetadata(custom)?.docKey
      )
        throw new UnbelievableAnswerError('change of metadata', answer);
      return 'adopted';
    };
    return this.#connection.request('adopt', adopt, { deadlineMs: CHECK_DEADLINE_MS });
  }

  async remove(
    name: string,
    docKey: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<RemoveOutcome> {
    const url = this.#urlOf(name);
    const remove: Action<RemoveOutcome> = async (client) => {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const object = await this.#describe(client, name);
        if (object === undefined) return 'absent';
        const outcome = await removeGeneration(client, { object, docKey, url });
        if (outcome !== 'changed') return outcome;
      }
      throw this.#changedByOthers(name, 'deleted');
    };
    const limits = { signal, deadlineMs: CHECK_DEADLINE_MS };
    return isObjectName(name) ? this.#connection.request('remove', remove, limits) : 'absent';
  }

  /** The probe's object stays: the next one meets it, and hears that the bucket would have taken it. */
  async probe({ signal }: ProbeOptions): Promise<void> {
    const { prefix = DEFAULT_OBJECT_PREFIX, deadlineMs = CHECK_DEADLINE_MS } = this.#options;
    const limits = { signal, deadlineMs: Math.min(deadlineMs, CHECK_DEADLINE_MS), once: true };
    const object = { name: probeKey(prefix), bytes: PROBE, contentType: 'text/plain', generation: ABSENT };
    await this.#connection.request(
      'probe',
      (client, onProgress) => this.#upload(client, { ...object, onProgress }),
      limits,
    );
  }

  async put(object: ImageObject, options: PutOptions): Promise<PutResult> {
    options.signal?.throwIfAborted();
    return { ...(await this.#put(object, options)), url: this.#urlOf(object.name) };
  }

  async #put(object: ImageObject, { mayReplace, signal }: PutOptions): Promise<Omit<PutResult, 'url'>> {
    let existing: StoredObject | undefined;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (existing === undefined) {
        if (await this.#create(object, signal)) return { outcome: 'created' };
      } else {
        const { metadata, generation } = existing;
        if (metadata === undefined || whoseObject(metadata.docKey, object.metadata.docKey) !== 'same')
          return { outcome: 'foreign', owner: metadata?.docKey };
        if (metadata.runId === object.metadata.runId) return { outcome: 'adopted' };
        const outcome = await this.#replace(object, { generation, mayReplace, signal });
        if (outcome !== 'changed') return { outcome };
      }
      existing = await this.#look(object.name, signal);
    }
    throw this.#changedByOthers(object.name, 'written');
  }

  #changedByOthers(name: string, while_: 'read' | 'written' | 'deleted'): Text2ImgError {
    return new Text2ImgError(
      'store_failed',
      `the object ${this.#urlOf(name)} was changed by others ${MAX_ROUNDS} times while it was ${while_}.`,
    );
  }

  /** False: something is there. */
  async #create(object: ImageObject, signal: AbortSignal | undefined): Promise<boolean> {
    const upload: Action<boolean> = (client, onProgress) => this.#uploadImage(client, object, { onProgress });
    return this.#judging(object, signal, () => this.#connection.request('create', upload, { signal }));
  }

  async #replace(
    object: ImageObject,
    { generation, mayReplace, signal }: ReplaceOptions,
  ): Promise<PutOutcome | 'changed'> {
    const upload: Action<boolean> = (client, onProgress) =>
      this.#uploadImage(client, object, { generation, onProgress });
    // Asks `mayReplace` before every attempt, outside of the attempt's deadline: the claim may have expired in a pause between two attempts.
    const replace = async (leftMs: number): Promise<PutOutcome | 'changed'> => {
      if (!(await mayReplace())) return 'superseded';
      return (await this.#connection.tryOnce(upload, { signal, leftMs })) ? 'replaced' : 'changed';
    };
    return this.#judging(object, signal, () => this.#connection.repeat('replace', replace, { signal }));
  }

  /** An upload that was refused: the bucket takes others, so it is this object's; or it takes none, and that is what is thrown. */
  async #judging<T>(object: ImageObject, signal: AbortSignal | undefined, upload: () => Promise<T>): Promise<T> {
    for (let refusals = 1; ; refusals++) {
      try {
        return await upload();
      } catch (error) {
        if (!(error instanceof Text2ImgError) || !isRefusal(error.cause)) throw error;
        await this.probe({ sizeBytes: object.png.length, ...omitUndefined({ signal }) });
        if (refusals === FINAL_REFUSALS) throw refusedImage(error.cause, this.#urlOf(object.name));
      }
    }
  }

  async #uploadImage(
    client: GcsClient,
    { name, png, metadata }: ImageObject,
    { generation = ABSENT, onProgress }: { readonly generation?: string; readonly onProgress: OnProgress },
  ): Promise<boolean> {
    const custom = { ...toCustomMetadata(metadata) };
    return this.#upload(client, { name, bytes: png, contentType: 'image/png', generation, custom, onProgress });
  }

  /** One request. False: the object's generation is not this one. @throws `UnbelievableAnswerError` */
  async #upload(client: GcsClient, request: Omit<Parameters<GcsClient['upload']>[0], 'md5'>): Promise<boolean> {
    const { name, bytes } = request;
    const md5 = createHash('md5').update(bytes).digest('base64');
    try {
      const answer = await client.upload({ ...request, md5 });
      readUploaded(answer, { bucket: this.#options.bucket, name, md5, sizeBytes: bytes.length });
      return true;
    } catch (error) {
      if (isConditionNotMet(error)) return false;
      throw error;
    }
  }

  async #look(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    const object = await this.#connection.request('look', (client) => this.#describe(client, name), { signal });
    if (object === undefined) return undefined;
    const { generation, metadata } = object;
    return { metadata: fromCustomMetadata(metadata), generation, refusal: refusalOf(object, Date.now()) };
  }

  async #describe(client: GcsClient, name: string): Promise<ObjectAnswer | undefined> {
    try {
      return readObject('look', await client.describe(name), { bucket: this.#options.bucket, name });
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  /** A link that everybody can open for seven days, signed with the key file. @param storedUrl `gs://…` */
  async signedUrl(storedUrl: string): Promise<string> {
    const name = this.nameOf(storedUrl);
    return this.#connection.request('sign', (client) => client.signedUrl(name, SIGNED_URL_MS), {});
  }

  /** @param storedUrl as `put` gave it */
  nameOf(storedUrl: string): string {
    return storedUrl.slice(this.#urlOf('').length);
  }

  #urlOf(name: string): string {
    return `gs://${this.#options.bucket}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
