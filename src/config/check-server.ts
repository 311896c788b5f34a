/** Options of `serve` that need or exclude each other. */
import { isIP } from 'node:net';
import { Text2ImgError } from '../errors/text2img-error.ts';
import { quote } from '../lib/foreign-text.ts';
import type { Config } from './options.ts';

/** Only this machine can reach such an address. */
function isOfThisMachine(host: string): boolean {
  const name = host.toLowerCase();
  if (isIP(name) === 4) return name.startsWith('127.');
  return name === '::1' || name === 'localhost';
}

/** @throws `conflicting_options` */
export function checkServer({ host, apiKeys, auth }: Config): void {
  if (apiKeys !== undefined && !auth)
    throw new Text2ImgError('conflicting_options', 'Give either --api-keys or --no-auth, not both.');
  if (isOfThisMachine(host) || apiKeys !== undefined || !auth) return;
  throw new Text2ImgError(
    'conflicting_options',
    `--host ${quote(host)} lets other machines in. Give --api-keys FILE to ask them for a key, or --no-auth to ask for none.`,
  );
}
