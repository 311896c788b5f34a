/**
 * A small Hugging Face hub: the parts of its protocol that fetching a model needs, for us and for Python's client: model info, tree, `resolve`
 * with redirects of large files to another server, ranges, gated and private repositories, and faults on demand.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HubRequest {
  readonly server: 'hub' | 'cdn';
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** What goes wrong with the bytes of a file. */
export type HubFault =
  /** The connection breaks after so many bytes. */
  | { readonly kind: 'drop'; readonly afterBytes: number }
  /** The answer ends properly, too early. */
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  | { readonly kind: 'corrupt' }
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  /** The whole file, although a part was asked for. */
  | { readonly kind: 'ignore-range' }
  /** No part is given at all. */
  | { readonly kind: 'refuse-range' }
  /** Another part than was asked for, and it says so or not. */
  | { readonly kind: 'other-range'; readonly says?: string }
  /** A byte now and then, for ever. */
  | { readonly kind: 'trickle'; readonly everyMs: number }
  | { readonly kind: 'redirect-loop' };

export interface HubRepository {
  readonly files: ReadonlyMap<string, Buffer>;
  /** Who may have it. */
  readonly access?: 'public' | 'gated' | 'private';
}

export const COMMIT = 'a'.repeat(39) + '1';
/** Whoever sends it may have everything. */
export const TOKEN = 'hf_secretsecretsecret';
/** As on the hub, where .safetensors are large files whatever their size. */
const LARGE = /\.safetensors$/;

export class HubServer implements AsyncDisposable {
  readonly repositories = new Map<string, HubRepository>();
  readonly requests: HubRequest[] = [];
  /** Answers a request of the API in the hub's place, where it returns true. */
  api: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  /** What the hub says of a repository, on its way out. */
  changeTree: (entries: Record<string, unknown>[]) => unknown = (entries) => entries;
  commit = COMMIT;
  /** Asked for every request for a file's bytes. */
  fault: (path: string, request: HubRequest) => HubFault | undefined = () => undefined;
  /** Revisions besides the commit itself. */
  branches: ReadonlySet<string> = new Set(['main', 'HEAD', 'v1']);
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#answerHub(request, response));
    this.#cdn = createServer((request, response) => this.#answerCdn(request, response));
  }

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    for (const one of [server.#hub, server.#cdn]) {
      one.listen(0, '127.0.0.1');
      await once(one, 'listening');
    }
    return server;
  }

  get url(): string {
    return urlOf(this.#hub);
  }

  /** Requests for bytes of files, on either server. */
  get downloads(): readonly HubRequest[] {
    return this.requests.filter(
      ({ server, path, method }) => method === 'GET' && (server === 'cdn' || path.includes('/resolve/')),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.#hub, this.#cdn]) {
      one.close();
      one.closeAllConnections();
    }
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://hub').pathname);
    const { method = '', headers } = request;
    this.requests.push({ server: 'hub', method, path, headers });
    if (path.startsWith('/api/') && this.api(request, response)) return;
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const [id, revision] = api === null ? [resolve?.[1] ?? '', resolve?.[2] ?? ''] : [api[1] ?? '', api[3] ?? ''];
    const repository = this.repositories.get(id);
    const isKnown = headers.authorization === `Bearer ${TOKEN}`;
    if (repository === undefined || (repository.access === 'private' && !isKnown))
      return refuse(response, isKnown ? 404 : 401, 'RepoNotFound');
    if (!this.branches.has(revision) && revision !== this.commit) return refuse(response, 404, 'RevisionNotFound');
    if (api?.[2] === 'revision') return json(response, { ...infoOf(id, repository), sha: this.commit });
    if (repository.access === 'gated' && !isKnown) return refuse(response, 401, 'GatedRepo');
    if (api !== null) return json(response, this.changeTree(treeOf(repository)));
    const name = resolve?.[3] ?? '';
    const bytes = repository.files.get(name);
    if (bytes === undefined) return refuse(response, 404, 'EntryNotFound');
    this.#resolve({ id, name, bytes, request }, response);
  }

  #resolve(
    file: { readonly id: string; readonly name: string; readonly bytes: Buffer; readonly request: IncomingMessage },
    response: ServerResponse,
  ): void {
    const { id, name, bytes, request } = file;
    const sum = blobName(name, bytes);
    // Another host by its name: Python's client follows redirects within one host when it asks for a file's facts.
    response.setHeader('x-repo-commit', this.commit);
    if (LARGE.test(name)) {
      response.setHeader('x-linked-etag', `"${sum}"`);
      response.setHeader('x-linked-size', String(bytes.length));
      const isLoop =
        request.method === 'GET' && this.fault(name, this.requests.at(-1) as HubRequest)?.kind === 'redirect-loop';
      const location = isLoop
        ? (request.url ?? '/')
        : `${urlOf(this.#cdn).replace('127.0.0.1', 'localhost')}/${id}/${name}`;
      return void response.writeHead(302, { location, etag: '"redirect"', 'content-length': '0' }).end();
    }
    response.setHeader('etag', `"${sum}"`);
    this.#sendBytes({ name, bytes, request }, response);
  }

  #answerCdn(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(request.url ?? '/');
    this.requests.push({ server: 'cdn', method: request.method ?? '', path, headers: request.headers });
    const [, owner, repo, ...rest] = path.split('/');
    const name = rest.join('/');
    const bytes = this.repositories.get(`${owner}/${repo}`)?.files.get(name);
    if (bytes === undefined) return void response.writeHead(404).end();
    this.#sendBytes({ name, bytes, request }, response);
  }

  #sendBytes(
    { name, bytes, request }: { readonly name: string; readonly bytes: Buffer; readonly request: IncomingMessage },
    response: ServerResponse,
  ): void {
    const fault = request.method === 'GET' ? this.fault(name, this.requests.at(-1) as HubRequest) : undefined;
    if (fault?.kind === 'status')
      return void response
        .writeHead(fault.status, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter })
        .end();
    if (fault?.kind === 'refuse-range' && request.headers.range !== undefined)
      return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    if (fault?.kind === 'other-range' && request.headers.range !== undefined) {
      const says = fault.says ?? `bytes 0-${bytes.length - 1}/${bytes.length}`;
      return void response.writeHead(206, says === '' ? {} : { 'content-range': says }).end(bytes);
    }
    if (fault?.kind === 'trickle') {
      response.writeHead(200, { 'content-length': String(bytes.length) }).flushHeaders();
      const timer = setInterval(() => response.write('x'), fault.everyMs);
      return void response.on('close', () => clearInterval(timer));
    }
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const start = asked === null || fault?.kind === 'ignore-range' ? 0 : Number(asked[1]);
    const part = fault?.kind === 'corrupt' ? Buffer.alloc(bytes.length - start, 7) : bytes.subarray(start);
    const isCut = fault?.kind === 'drop' || fault?.kind === 'truncate';
    const sent = isCut ? part.subarray(0, fault.afterBytes) : part;
    response.setHeader('accept-ranges', 'bytes');
    if (start > 0) response.setHeader('content-range', `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
    // Without a length a body may end anywhere and be complete for HTTP.
    if (fault?.kind !== 'truncate') response.setHeader('content-length', String(part.length));
    response.writeHead(start > 0 ? 206 : 200);
    if (request.method === 'HEAD') return void response.end();
    if (fault?.kind !== 'drop') return void response.end(sent);
    response.write(sent, () => request.socket.destroy());
  }
}

/** SHA-256 of a large file, git's SHA-1 of a small one. */
export function blobName(name: string, bytes: Buffer): string {
  if (LARGE.test(name)) return createHash('sha256').update(bytes).digest('hex');
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function infoOf(id: string, { files, access }: HubRepository): object {
  return {
    _id: '1',
    id,
    modelId: id,
    sha: COMMIT,
    private: access === 'private',
    gated: access === 'gated' ? 'auto' : false,
    downloads: 1,
    likes: 1,
    tags: [],
    lastModified: '2026-01-01T00:00:00.000Z',
    siblings: Array.from(files.keys(), (rfilename) => ({ rfilename })),
  };
}

function treeOf({ files }: HubRepository): Record<string, unknown>[] {
  return Array.from(files, ([path, bytes]) => {
    const sum = blobName(path, bytes);
    const entry = { type: 'file', path, size: bytes.length };
    return LARGE.test(path)
      ? { ...entry, oid: 'b'.repeat(40), lfs: { oid: sum, size: bytes.length, pointerSize: 130 } }
      : { ...entry, oid: sum };
  });
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'x-error-code': code, 'x-error-message': code })
    .end(JSON.stringify({ error: code }));
}
