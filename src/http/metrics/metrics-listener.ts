/** The listener of `--metrics-port`: answers `GET /metrics` and nothing else. It asks for no key, so it listens on this machine only by default. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf, systemCode } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import type { Logger } from '../../observability/logger.ts';

/** A scraper sends its few headers at once. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Many more than scrapers. */
const MOST_CONNECTIONS = 64;

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'another program listens there'],
  ['EADDRNOTAVAIL', 'this machine has no such address'],
  ['EACCES', 'this user may not use the port'],
]);

export interface MetricsPage {
  readonly contentType: string;
  page(): Promise<string>;
}

export interface MetricsPlace {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

export interface MetricsListener extends AsyncDisposable {
  /** Where a scraper reads. */
  readonly url: string;
}

/** @throws `invalid_option` when nothing can listen there */
export async function listenForScrapes(
  metrics: MetricsPage,
  place: MetricsPlace,
  logger: Logger,
): Promise<MetricsListener> {
  const server = createServer((request, response) => {
    void answer(metrics, request, response).catch((error: unknown) => {
      logger.repeated('the metrics could not be written', { error });
      response.destroy();
    });
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, place);
  const url = `http://${hostAndPort(server.address() as AddressInfo)}/metrics`;
  logger.info('metrics can be scraped', { url });
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function listen(server: Server, { host, port }: MetricsPlace): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    const reason = REASONS.get(systemCode(error) ?? '') ?? messageOf(error);
    throw new Text2ImgError(
      'invalid_option',
      `nothing can listen on port ${port} of ${quote(host)} for --metrics-port: ${reason}.`,
    );
  }
}

async function answer(metrics: MetricsPage, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request;
  // Bodies are of no interest.
  request.resume();
  if (url.split('?')[0] !== '/metrics') return end(response, 404, 'Only /metrics is here.\n');
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return end(response, 405, 'Only GET and HEAD are answered here.\n');
  }
  const page = await metrics.page();
  response.setHeader('content-type', metrics.contentType);
  response.setHeader('content-length', Buffer.byteLength(page));
  response.end(method === 'HEAD' ? undefined : page);
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}

function hostAndPort({ address, family, port }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
