/** Requests over a socket of their own, for clients that do not read or that break their connection. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Sends it and reads nothing: the socket is paused. */
export async function sendRaw(t: Pick<TestContext, 'after'>, url: string, request: RawRequest): Promise<Socket> {
  const { method = 'GET', path, headers = {}, body } = request;
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.pause();
  await once(socket, 'connect');
  const text = body === undefined ? '' : JSON.stringify(body);
  const all = {
    host: 'localhost',
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`);
  return socket;
}

/** Reads until `text` has come. @returns everything that came */
export async function readUntil(socket: Socket, text: string): Promise<string> {
  let all = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  const onData = (piece: Buffer): void => {
    all += piece.toString('latin1');
    if (all.includes(text)) resolve();
  };
  socket.on('data', onData);
  socket.once('close', () => resolve());
  socket.resume();
  await promise;
  socket.off('data', onData);
  return all;
}
