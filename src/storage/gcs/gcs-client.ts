/**
 * Google's client library with its traps disarmed, and nothing but the requests that the store makes. Answers are handed on as they came:
 * `gcs-answers.ts` decides whether they are believed.
 */
import type { Readable } from 'node:stream';
import { type Bucket, Storage } from '@google-cloud/storage';
import type { OnProgress } from './gcs-requests.ts';
import { giveToGoogle } from './google-variables.ts';
import type { BytePart } from '../image-store.ts';
import { omitUndefined } from '../../lib/omit-undefined.ts';

export interface GcsClientOptions {
  readonly bucket: string;
  /** An emulator's URL instead of Google's; it is sent no credentials. */
  readonly apiEndpoint: string | undefined;
  /** For requests to the bucket. Without it Google's client decides by the environment. */
  readonly proxy?: string | undefined;
  /** Variables that Google's client must find in the environment of the process. */
  readonly variables?: Readonly<Record<string, string>>;
}

export interface UploadRequest {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The server refuses with 412 when the object has another one; `'0'`: when there is an object. */
  readonly generation: string;
  readonly contentType: string;
  /** In base64; the server refuses other bytes. */
  readonly md5: string;
  readonly custom?: Readonly<Record<string, string>>;
  /** Called for every piece that was taken, with how much may be buffered in all. */
  readonly onProgress: OnProgress;
}

export interface DownloadRequest {
  readonly generation: string;
  /** Of its bytes; default: all. */
  readonly part?: BytePart | undefined;
  /** Called for each piece that came, with how much there is in all; what it throws ends the download. */
  readonly onPiece: (sizeBytes: number) => void;
}

export interface MetadataChange {
  readonly generation: string;
  readonly metageneration: string | undefined;
  readonly custom: Readonly<Record<string, string>>;
}

const GOOGLE_ENDPOINT = 'https://storage.googleapis.com';
/** Small, so that a slow connection shows its progress. */
type Interceptor = Storage['interceptors'][number];
const PIECE_BYTES = 16 * 1024;
/** 12 of `error` were counted with version 8.4. */
const LISTENERS_OF_DOWNLOAD = 24;

/** One account's connection. A new one has no token yet, and reads the key file anew. */
export class GcsClient {
  readonly #storage: Storage;
  readonly #bucket: Bucket;

  constructor({ bucket, apiEndpoint, proxy, variables = {} }: GcsClientOptions) {
    giveToGoogle(variables);
    this.#storage = createStorage(apiEndpoint);
    // The library itself would take HTTP_PROXY first, for https URLs too.
    if (proxy !== undefined)
      this.#storage.interceptors.push({
        // The function returns its argument; the library's types name the two differently.
        request: (options) => Object.assign(options, { proxy }) as ReturnType<Interceptor['request']>,
      });
    this.#bucket = this.#storage.bucket(bucket);
  }

  async fetchToken(): Promise<void> {
    await this.#storage.authClient.getAccessToken();
  }

  async permissions(wanted: readonly string[]): Promise<readonly string[]> {
    const [permissions] = await this.#bucket.iam.testPermissions([...wanted]);
    return wanted.filter((permission) => permissions[permission] === true);
  }

  async describeBucket(): Promise<void> {
    await this.#bucket.getMetadata();
  }

  /** One request; gives the answer. */
  async upload(request: UploadRequest): Promise<unknown> {
    const { name, bytes, generation, contentType, md5, custom, onProgress } = request;
    const file = this.#bucket.file(name);
    await file.save(() => pieces(bytes, onProgress), {
      resumable: false,
      // The client's own validation would delete the object when it differs: the server's refuses to store it.
      validation: false,
      preconditionOpts: { ifGenerationMatch: generation },
      metadata: { contentType, md5Hash: md5, ...(custom === undefined ? {} : { metadata: { ...custom } }) },
    });
    return file.metadata;
  }

  async describe(name: string): Promise<unknown> {
    const [answer] = await this.#bucket.file(name).getMetadata();
    return answer;
  }

  /** The bytes of this generation, or a part of them, as they are stored. Nothing compares them with their sum. */
  async download(name: string, { generation, part, onPiece }: DownloadRequest): Promise<Uint8Array> {
    const file = this.#bucket.file(name, { generation });
    const pieces: Buffer[] = [];
    let sizeBytes = 0;
    const stream = file.createReadStream({ validation: false, decompress: false, ...part });
    // The library joins the answer to three streams of its own, which is more than Node expects: it would warn at every larger object.
    stream.on('response', (answer: Readable) => answer.setMaxListeners(LISTENERS_OF_DOWNLOAD));
    for await (const piece of stream) {
      sizeBytes += piece.length;
      onPiece(sizeBytes);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** Changes the custom metadata of exactly this state of the object. */
  async changeMetadata(name: string, { generation, metageneration, custom }: MetadataChange): Promise<unknown> {
    const [answer] = await this.#bucket.file(name).setMetadata(
      { metadata: { ...custom } },
      {
        ifGenerationMatch: generation,
        ...omitUndefined({ ifMetagenerationMatch: metageneration }),
      },
    );
    return answer;
  }

  /** Deletes exactly this generation. The server answers 412 when the object has another one. */
  async remove(name: string, generation: string): Promise<void> {
    await this.#bucket.file(name).delete({ ifGenerationMatch: generation });
  }

  async signedUrl(name: string, lifeMs: number): Promise<string> {
    const now = Date.now();
    const options = { version: 'v4', action: 'read', accessibleAt: now, expires: now + lifeMs } as const;
    const [url] = await this.#bucket.file(name).getSignedUrl(options);
    return url;
  }
}

/** A piece is asked for when the connection has taken what came before. */
async function* pieces(bytes: Uint8Array, onProgress: OnProgress): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    onProgress(at);
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  }
  onProgress(bytes.length);
}

function createStorage(apiEndpoint: string | undefined): Storage {
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
