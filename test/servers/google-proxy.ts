/**
 * Google as seen through a TLS-inspecting proxy: every tunnel ends here, under a certificate of our own for `*.googleapis.com`. Tokens are given as the
 * test says, all else goes to a `GcsServer`. So the real client runs with real credentials, which it sends to no emulator.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';

export interface TokenAnswer {
  readonly status: number;
  readonly json: object;
}

export class GoogleProxy implements AsyncDisposable {
  /** How many tokens were asked for. */
  tokens = 0;
  /** The answer to the n-th request for a token, from 1. */
  token: (n: number) => TokenAnswer = (n) => ({
    status: 200,
    json: { access_token: `token-${n}`, expires_in: 3600, token_type: 'Bearer' },
  });
  readonly certificate: string;
  readonly #proxy: Server;
  readonly #inner: Server;

  private constructor({
    key,
    certificate,
    bucketUrl,
  }: { readonly key: string; readonly certificate: string; readonly bucketUrl: string }) {
    this.certificate = certificate;
    this.#inner = createServer((incoming, response) => this.#answer(incoming, response, bucketUrl));
    this.#proxy = createServer((_, response) => response.writeHead(502).end());
    this.#proxy.on('connect', (_, socket) => {
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      const secure = new TLSSocket(socket, { isServer: true, key, cert: certificate });
      secure.on('error', () => undefined);
      this.#inner.emit('connection', secure);
    });
  }

  /** Undefined: there is no openssl to make a certificate with. @param folder of the test */
  static async start(folder: string, bucketUrl: string): Promise<GoogleProxy | undefined> {
    const names = 'subjectAltName=DNS:*.googleapis.com,DNS:googleapis.com';
    const make = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'certificate.pem'];
    try {
      execFileSync('openssl', [...make, '-subj', '/CN=text2img test', '-days', '2', '-addext', names], {
        cwd: folder,
        stdio: 'ignore',
      });
    } catch {
      return undefined;
    }
    const [key, certificate] = await Promise.all(
      ['key.pem', 'certificate.pem'].map((name) => readFile(join(folder, name), 'utf8')),
    );
    const started = new GoogleProxy({ key: key ?? '', certificate: certificate ?? '', bucketUrl });
    started.#proxy.listen(0, '127.0.0.1');
    await once(started.#proxy, 'listening');
    return started;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#inner.closeAllConnections();
    this.#proxy.closeAllConnections();
    this.#proxy.close();
  }

  #answer(incoming: IncomingMessage, response: ServerResponse, bucketUrl: string): void {
    if (incoming.url === '/token') {
      const { status, json } = this.token(++this.tokens);
      incoming.resume();
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      return;
    }
    const { host: _, ...headers } = incoming.headers;
    const { method } = incoming;
    const onward = request(`${bucketUrl}${incoming.url ?? ''}`, {
      ...(method === undefined ? {} : { method }),
      headers,
    });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  }
}
