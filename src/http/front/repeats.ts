/** Requests that come again: by an `Idempotency-Key`, or by the same body from the same key. */
import { createHash } from 'node:crypto';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isRecord } from '../../lib/foreign-record.ts';
import type { Caller } from './caller.ts';

/** As Stripe has it. Printable ASCII. */
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;

/** @throws `invalid_request`, which does not quote the key */
export function checkIdempotencyKey(key: string): void {
  if (IDEMPOTENCY_KEY.test(key)) return;
  throw new Text2ImgError(
    'invalid_request',
    'The header "idempotency-key" must be 1 to 255 printable ASCII characters.',
  );
}

/** Of the request under this key: another API key or another API may use the same. */
export function recordIdOf({ key, door }: Caller, idempotencyKey: string): string {
  return hashOf([key?.name ?? null, door, idempotencyKey]);
}

/** Of requests that may take over one another's jobs. */
export function orphanKeyOf({ key, door }: Caller, bodyHash: string): string {
  return hashOf([key?.name ?? null, door, bodyHash]);
}

/** Of a parsed body; the order of names does not count. */
export function hashOfBody(body: unknown): string {
  return hashOf(inOrder(body));
}

function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(value) ?? '')
    .digest('hex');
}

/** The server reads no deeper body than 64 levels. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (!isRecord(value) || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const names = Object.keys(value).toSorted();
  return names.map((name) => [name, inOrder(value[name])]);
}
