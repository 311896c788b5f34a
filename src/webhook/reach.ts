/** Whether the operator's webhook can be reached: its name is looked up, a connection is made and closed. Nothing is sent, and no job is named. */
import { lookup } from 'node:dns/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf } from '../lib/disk-errors.ts';
import { type Proxies, proxyFor } from '../lib/proxies.ts';

const PATIENCE_MS = 5000;

export interface Reach {
  readonly isReached: boolean;
  /** The attempted connection and its result; names no path, because that may hold a token. */
  readonly tried: string;
}

/** Never rejects. */
export async function reachWebhook(text: string, proxies: Proxies, patienceMs = PATIENCE_MS): Promise<Reach> {
  const target = new URL(text);
  const proxy = proxyFor(target, proxies);
  const url = proxy === undefined ? target : new URL(proxy);
  const place = proxy === undefined ? hostOf(url) : `the proxy ${hostOf(url)} for ${target.hostname}`;
  try {
    await lookup(bareHost(url));
  } catch (error) {
    return { isReached: false, tried: `the name of ${place} cannot be resolved: ${messageOf(error)}` };
  }
  try {
    await connection(url, patienceMs);
  } catch (error) {
    return { isReached: false, tried: `no connection to ${place}: ${messageOf(error)}` };
  }
  const how = url.protocol === 'https:' ? 'with TLS ' : '';
  return { isReached: true, tried: `connected ${how}to ${place}; nothing was sent` };
}

async function connection(url: URL, patienceMs: number): Promise<void> {
  const isTls = url.protocol === 'https:';
  const at = { host: bareHost(url), port: Number(url.port || (isTls ? 443 : 80)) };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket: Socket = isTls ? connectTls({ ...at, servername: url.hostname }) : connectTcp(at);
  const timer = setTimeout(() => reject(new Error(`no answer within ${patienceMs / 1000} s`)), patienceMs);
  socket.once(isTls ? 'secureConnect' : 'connect', () => resolve());
  socket.on('error', reject);
  socket.once('close', () => reject(new Error('the connection was closed')));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function hostOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`;
}

function bareHost({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}
