/** Errors of the hub and its cache, each with advice. */
import type { IncomingHttpHeaders } from 'node:http';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { isDiskFull, messageOf, systemCode } from '../../lib/disk-errors.ts';
import { quote } from '../../lib/foreign-text.ts';
import { type HubAccess, hubUrl } from './hub-request.ts';
import type { HubId } from './hub-id.ts';

/** Nobody waits longer because a server says so. */
const MAX_RETRY_AFTER_MS = 60_000;

/** The network, or a server that cannot now: the same request may succeed a little later. */
export class Trouble extends Error {
  readonly retryAfterMs: number;

  constructor(
    message: string,
    { retryAfterMs = 0, cause }: { readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

/** Names that do not exist and certificates that are not trusted stay so. */
const FINAL = /^(?:ENOTFOUND|CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_INVALID_|HPE_)/;

/** Turns the error of a request into one of our errors: `Trouble` if another attempt may help. */
export function networkError(error: unknown, access: HubAccess): Error {
  if (error instanceof Text2ImgError || error instanceof Trouble) return error;
  return FINAL.test(systemCode(error) ?? '')
    ? unreachable(access, error)
    : new Trouble(messageOf(error), { cause: error });
}

/** An answer that asks to come again; undefined for any other. */
export function busy(status: number, headers: IncomingHttpHeaders): Trouble | undefined {
  if (status !== 408 && status !== 429 && status < 500) return undefined;
  const seconds = /^\s*\d{1,9}\s*$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) : 0;
  return new Trouble(`the server answered ${status}`, { retryAfterMs: Math.min(MAX_RETRY_AFTER_MS, 1000 * seconds) });
}

/** After the last attempt. */
export function unreachable(access: HubAccess, error: unknown): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  return new Text2ImgError(
    'download_failed',
    `the hub at ${hubUrl(access).origin} cannot be reached: ${messageOf(error)}.`,
    {
      cause: error,
    },
  );
}

export interface Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly access: HubAccess;
}

/** The error for an answer that neither brings the requested content nor asks us to come again. */
export function refusal({ id, revision }: HubId, { status, headers, access }: Refusal): Text2ImgError {
  const reason = headers['x-error-code'];
  const hasToken = access.token !== undefined;
  // Only the hub itself says so: a 403 alone is as likely a proxy's.
  if (reason === 'GatedRepo')
    return new Text2ImgError(
      'model_gated',
      `the model ${id} is gated: accept its terms on its page, and ${hasToken ? 'use a token of that account' : 'set HF_TOKEN to a token of that account'}.`,
    );
  if (reason === 'RevisionNotFound')
    return new Text2ImgError('model_not_found', `the model ${id} has no revision ${quote(revision)}.`);
  if (status === 401 || status === 404)
    return new Text2ImgError(
      'model_not_found',
      `the model ${id} was not found on the hub; ${hasToken ? 'if it is private, use a token that may read it' : 'if it is private, set HF_TOKEN'}.`,
    );
  const said = headers['x-error-message'];
  const why = typeof said === 'string' ? `: ${quote(said)}` : '';
  const who = reason === undefined ? `${hubUrl(access).host}, or a proxy before it,` : hubUrl(access).host;
  return new Text2ImgError('download_failed', `${who} answered ${status} for the model ${id}${why}.`);
}

/** Turns an error of the file system into one of our errors. */
export function cacheError(error: unknown, root: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  if (isDiskFull(error))
    return new Text2ImgError(
      'disk_full',
      `no space is left for the hub's cache ${quote(root)}, or it may not grow: ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  // An error without a system's code is a bug in text2img.
  if (systemCode(error) === undefined) return Text2ImgError.from(error);
  return new Text2ImgError(
    'store_unwritable',
    `the hub's cache ${quote(root)} cannot be written: ${messageOf(error)}. Choose another folder with HF_HOME.`,
    { cause: error },
  );
}

/** It may be read, and not be written: a volume mounted so, or another user's. */
export function isReadOnly(error: unknown): boolean {
  return /^(?:EROFS|EACCES|EPERM)$/.test(systemCode(error) ?? '');
}
