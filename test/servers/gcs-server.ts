/**
 * A small Google Cloud Storage: the JSON API's exact preconditions, generations and checksums, for what the service uses, with faults on
 * demand. The conformance suite runs against it and against fake-gcs-server, so that it cannot drift.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StoredObject {
  readonly bytes: Buffer;
  readonly generation: number;
  readonly metageneration: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What goes wrong with one request. */
export type Fault =
  | { readonly kind: 'drop' }
  /** It takes effect, and the answer is lost. */
  | { readonly kind: 'commit-then-drop' }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly retryAfterSeconds?: number;
      readonly message?: string;
      readonly reason?: string;
    }
  /** Something that is not the bucket answers; nothing takes effect. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  /** Never answered. */
  | { readonly kind: 'stall' }
  | { readonly kind: 'slow'; readonly ms: number }
  /** A byte of the picture is changed on the way. */
  | { readonly kind: 'corrupt' };

export interface GcsRequest {
  readonly method: string;
  readonly kind: 'upload' | 'download' | 'metadata' | 'other';
  readonly object: string;
  readonly ifGenerationMatch: string | null;
  readonly hasCredentials: boolean;
  /** Of a download: the header. */
  readonly range: string | undefined;
  readonly atMs: number;
}

/** All custom metadata of an object together (https://cloud.google.com/storage/quotas). */
const MAX_METADATA_BYTES = 8 * 1024;

export class GcsServer implements AsyncDisposable {
  readonly bucket: string;
  /** Every generation of every object, oldest first. */
  readonly history = new Map<string, StoredObject[]>();
  readonly requests: GcsRequest[] = [];
  /** More fields of an object's description, as holds. */
  readonly facts = new Map<string, object>();
  /** How fast uploads are taken. */
  bytesPerSecond = Infinity;
  /** Requests that stall and that the client still waits for. */
  stalled = 0;
  /** Asked for every request. */
  fault: (request: GcsRequest) => Fault | undefined = () => undefined;
  /** What the account may do; undefined: the method does not exist, as in emulators. */
  permissions: readonly string[] | undefined = [
    'storage.objects.create',
    'storage.objects.get',
    'storage.objects.delete',
  ];
  readonly #server: Server;
  #generation = 1_700_000_000_000_000;

  private constructor(bucket: string) {
    this.bucket = bucket;
    this.#server = createServer(
      (request, response) => void this.#answer(request, response).catch(() => response.destroy()),
    );
  }

  static async start({
    bucket = 'pictures',
    port = 0,
  }: {
    readonly bucket?: string;
    readonly port?: number;
  } = {}): Promise<GcsServer> {
    const started = new GcsServer(bucket);
    started.#server.listen(port, '127.0.0.1');
    await once(started.#server, 'listening');
    return started;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The object as it is now. */
  object(name: string): StoredObject | undefined {
    return this.history.get(name)?.at(-1);
  }

  put(name: string, bytes: Uint8Array, metadata: Readonly<Record<string, string>> = {}): StoredObject {
    const object = { bytes: Buffer.from(bytes), generation: ++this.#generation, metageneration: 1, metadata };
    this.history.set(name, [...(this.history.get(name) ?? []), object]);
    return object;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://gcs');
    const body = await bodyOf(request, this.bytesPerSecond);
    const isUpload = url.pathname.startsWith('/upload/');
    const objectPath = /\/b\/([^/]+)\/o\/([^/]+)$/.exec(url.pathname);
    const seen: GcsRequest = {
      method: request.method ?? '',
      kind: kindOf({ isUpload, isObject: objectPath !== null, isMedia: url.searchParams.get('alt') === 'media' }),
      object: isUpload ? (url.searchParams.get('name') ?? '') : decodeURIComponent(objectPath?.[2] ?? ''),
      ifGenerationMatch: url.searchParams.get('ifGenerationMatch'),
      hasCredentials: request.headers.authorization !== undefined,
      range: request.headers.range,
      atMs: performance.now(),
    };
    this.requests.push(seen);
    const fault = this.fault(seen);
    if (fault?.kind === 'drop') return void request.socket.destroy();
    if (fault?.kind === 'stall') return this.#stall(response);
    if (fault?.kind === 'status') {
      if (fault.retryAfterSeconds !== undefined) response.setHeader('retry-after', fault.retryAfterSeconds);
      return send(
        response,
        fault.status,
        errorBody(fault.status, fault.message ?? 'a fault was asked for', fault.reason),
      );
    }
    if (fault?.kind === 'answer')
      return void response.writeHead(fault.status, { 'content-type': 'text/html' }).end(fault.body);
    if (fault?.kind === 'slow') await sleep(fault.ms);
    if (fault?.kind === 'commit-then-drop') {
      this.#route(seen, { url, body, contentType: request.headers['content-type'] ?? '' }, () => undefined);
      return void request.socket.destroy();
    }
    const content = { url, body, contentType: request.headers['content-type'] ?? '' };
    if (fault?.kind === 'corrupt' && body.length > 0) flipPngByte(content);
    if (seen.kind === 'download') return this.#download(seen, { url, response, isDamaged: fault?.kind === 'corrupt' });
    this.#route(seen, content, (status, json) => send(response, status, json));
  }

  /** The generation that is named, while it is the present one: the bucket keeps no versions. */
  #download(
    { object: name, range }: GcsRequest,
    { url, response, isDamaged }: { readonly url: URL; readonly response: ServerResponse; readonly isDamaged: boolean },
  ): void {
    const object = this.object(name);
    const generation = url.searchParams.get('generation') ?? String(object?.generation);
    if (object === undefined || generation !== String(object.generation))
      return void response.writeHead(404, { 'content-type': 'text/plain' }).end('No such object');
    const bytes = Buffer.from(object.bytes);
    if (isDamaged) bytes.writeUInt8((bytes.readUInt8(0) + 1) % 256, 0);
    const type = { 'content-type': 'image/png' };
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    if (first === undefined)
      return void response.writeHead(200, { ...type, 'content-length': bytes.length }).end(bytes);
    const part = bytes.subarray(Number(first), Number(last) + 1);
    const place = `bytes ${first}-${Number(first) + part.length - 1}/${bytes.length}`;
    response.writeHead(206, { ...type, 'content-length': part.length, 'content-range': place }).end(part);
  }

  #stall(response: ServerResponse): void {
    this.stalled += 1;
    response.once('close', () => {
      this.stalled -= 1;
    });
  }

  #route(
    { method, kind, object, ifGenerationMatch }: GcsRequest,
    content: { readonly url: URL; readonly body: Buffer; readonly contentType: string },
    answer: (status: number, json: unknown) => void,
  ): void {
    const { pathname, searchParams } = content.url;
    if (!/^(?:\/upload)?\/storage\/v1\/b\//.test(pathname)) return answer(404, errorBody(404, 'Not Found'));
    const bucket = /\/b\/([^/]+)/.exec(pathname)?.[1];
    if (bucket !== this.bucket) return answer(404, errorBody(404, 'The specified bucket does not exist.'));
    if (kind === 'upload') return this.#upload({ object, ifGenerationMatch, ...content }, answer);
    if (pathname.endsWith('/iam/testPermissions')) {
      if (this.permissions === undefined) return answer(404, errorBody(404, 'no such method'));
      const wanted = searchParams.getAll('permissions');
      return answer(200, { permissions: wanted.filter((one) => this.permissions?.includes(one)) });
    }
    if (kind === 'other') return answer(200, { kind: 'storage#bucket', name: bucket, id: bucket });
    const found = this.object(object);
    if (found === undefined) return answer(404, errorBody(404, `No such object: ${bucket}/${object}`));
    if (method === 'PATCH') return this.#patch({ object, found, ...content }, answer);
    if (method === 'DELETE') {
      if (![null, String(found.generation)].includes(ifGenerationMatch))
        return answer(
          412,
          errorBody(412, 'At least one of the pre-conditions you specified did not hold.', 'conditionNotMet'),
        );
      this.history.delete(object);
      return answer(204, '');
    }
    if (method === 'GET') return answer(200, { ...describe(bucket, object, found), ...this.facts.get(object) });
    return answer(405, errorBody(405, 'method not allowed'));
  }

  /** Changes custom metadata under the same generation. */
  #patch(
    {
      object,
      found,
      url,
      body,
    }: { readonly object: string; readonly found: StoredObject; readonly url: URL; readonly body: Buffer },
    answer: (status: number, json: unknown) => void,
  ): void {
    const wanted = (name: string, is: number): boolean => [null, String(is)].includes(url.searchParams.get(name));
    if (!wanted('ifGenerationMatch', found.generation) || !wanted('ifMetagenerationMatch', found.metageneration))
      return answer(
        412,
        errorBody(412, 'At least one of the pre-conditions you specified did not hold.', 'conditionNotMet'),
      );
    const { metadata } = JSON.parse(body.toString('utf8')) as { metadata?: Record<string, string> };
    const changed = {
      ...found,
      metadata: { ...found.metadata, ...metadata },
      metageneration: found.metageneration + 1,
    };
    this.history.set(object, [...(this.history.get(object) ?? []).slice(0, -1), changed]);
    answer(200, describe(this.bucket, object, changed));
  }

  #upload(
    {
      object,
      ifGenerationMatch,
      body,
      contentType,
    }: {
      readonly object: string;
      readonly ifGenerationMatch: string | null;
      readonly body: Buffer;
      readonly contentType: string;
    },
    answer: (status: number, json: unknown) => void,
  ): void {
    const current = this.object(object)?.generation ?? 0;
    if (ifGenerationMatch !== null && Number(ifGenerationMatch) !== current)
      return answer(
        412,
        errorBody(412, 'At least one of the pre-conditions you specified did not hold.', 'conditionNotMet'),
      );
    const [json, bytes] = multipart(body, contentType);
    const { md5Hash, metadata } = JSON.parse(json.toString('utf8')) as {
      md5Hash?: string;
      metadata?: Record<string, string>;
    };
    if (md5Hash !== undefined && md5Hash !== createHash('md5').update(bytes).digest('base64'))
      return answer(400, errorBody(400, "Provided MD5 hash doesn't match calculated MD5 hash."));
    if (
      Buffer.byteLength(
        Object.entries(metadata ?? {})
          .flat()
          .join(''),
      ) > MAX_METADATA_BYTES
    )
      return answer(400, errorBody(400, 'The metadata for the object is too large.'));
    answer(200, describe(this.bucket, object, this.put(object, bytes, metadata)));
  }
}

function kindOf({
  isUpload,
  isObject,
  isMedia,
}: {
  readonly isUpload: boolean;
  readonly isObject: boolean;
  readonly isMedia: boolean;
}): GcsRequest['kind'] {
  if (isUpload) return 'upload';
  if (!isObject) return 'other';
  return isMedia ? 'download' : 'metadata';
}

async function bodyOf(request: IncomingMessage, bytesPerSecond: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    if (bytesPerSecond < Infinity) await sleep((chunk.length / bytesPerSecond) * 1000);
  }
  return Buffer.concat(chunks);
}

/** The bodies of the parts. */
function multipart(body: Buffer, contentType: string): [Buffer, Buffer] {
  const boundary = /boundary=("?)([^";]+)\1/.exec(contentType)?.[2] ?? '';
  const parts: Buffer[] = [];
  const mark = Buffer.from(`--${boundary}`);
  let at = body.indexOf(mark);
  while (at >= 0) {
    const next = body.indexOf(mark, at + mark.length);
    if (next < 0) break;
    const part = body.subarray(at + mark.length, next);
    // Head, empty line, content, and the line break before the next mark.
    parts.push(part.subarray(part.indexOf('\r\n\r\n') + 4, part.length - 2));
    at = next;
  }
  return [parts[0] ?? Buffer.alloc(0), parts[1] ?? Buffer.alloc(0)];
}

function flipPngByte(content: { body: Buffer; readonly contentType: string }): void {
  const [, bytes] = multipart(content.body, content.contentType);
  const copy = Buffer.from(content.body);
  const at = copy.lastIndexOf(bytes);
  copy.writeUInt8((copy.readUInt8(at) + 1) % 256, at);
  content.body = copy;
}

function describe(bucket: string, name: string, { generation, metageneration, metadata, bytes }: StoredObject): object {
  return {
    kind: 'storage#object',
    bucket,
    name,
    generation: String(generation),
    metageneration: String(metageneration),
    metadata,
    size: String(bytes.length),
    md5Hash: createHash('md5').update(bytes).digest('base64'),
  };
}

function errorBody(code: number, message: string, reason = 'test'): object {
  return { error: { code, message, errors: [{ message, domain: 'global', reason }] } };
}

function send(response: ServerResponse, status: number, json: unknown): void {
  if (status === 204) return void response.writeHead(status).end();
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
}
