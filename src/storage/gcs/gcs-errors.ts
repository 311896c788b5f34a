/** Errors of Google Cloud Storage and its client, in our words: what to repeat, whose fault it is, and no secrets. */
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { UnbelievableAnswerError } from './gcs-answers.ts';

/** The parts of the client's errors that mean something; system errors have a string as their code. */
interface ClientError {
  readonly code?: number | string;
  readonly message?: string;
  readonly errors?: readonly { readonly reason?: string }[];
  readonly response?: { readonly headers?: Readonly<Record<string, string>>; readonly statusCode?: number };
}

/** One attempt took too long, or the network failed during it. */
export class TryTimeoutError extends Error {
  override readonly name = 'TryTimeoutError';
}

export function statusOf(error: unknown): number | undefined {
  const { code, response } = asClientError(error);
  // The client makes an error of every body with an `error` in it: of a status that somebody wrote into a 200 nothing follows.
  if (isSuccess(response?.statusCode)) return undefined;
  // The token service's errors carry the status as text.
  const status = typeof code === 'string' && /^\d{3}$/.test(code) ? Number(code) : code;
  return typeof status === 'number' ? status : undefined;
}

function isSuccess(status: unknown): boolean {
  return typeof status === 'number' && status >= 200 && status < 300;
}

const REPEATABLE_STATUS: ReadonlySet<number> = new Set([408, 409, 429, 500, 502, 503, 504]);
const RATE_LIMITS: ReadonlySet<string> = new Set(['rateLimitExceeded', 'userRateLimitExceeded']);
/** System errors that name no fault of the configuration: the connection broke, or the name server did not answer. */
const REPEATABLE_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

/** Whether the same request may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof Text2ImgError) return false;
  if (error instanceof TryTimeoutError || error instanceof UnbelievableAnswerError) return true;
  const { code, errors = [], message = '', response } = asClientError(error);
  if (isSuccess(response?.statusCode)) return true;
  if (errors.some(({ reason }) => reason !== undefined && RATE_LIMITS.has(reason))) return true;
  const status = statusOf(error);
  // Bytes that were damaged on their way arrive whole the next time.
  if (status === 400) return /md5/i.test(message);
  if (status !== undefined) return REPEATABLE_STATUS.has(status) || status > 504;
  if (typeof code === 'string' && REPEATABLE_CODES.has(code)) return true;
  // An answer that broke off in the middle of its JSON, or a socket closed between two requests.
  return /socket hang up|premature close|invalid json|unexpected end of json/i.test(message);
}

/** The wait that the server asked for in `retry-after`, in seconds or as a date. */
export function retryAfterMs(error: unknown, now: number): number | undefined {
  const value = asClientError(error).response?.headers?.['retry-after'];
  if (value === undefined) return undefined;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

/**
 * The object is not of the generation that was named. The same status with another reason is a refusal, as an organisation's policy's; emulators
 * give none.
 */
export function isConditionNotMet(error: unknown): boolean {
  if (statusOf(error) !== 412) return false;
  const reasons = (asClientError(error).errors ?? [])
    .map(({ reason }) => reason)
    .filter((reason) => reason !== undefined);
  return reasons.length === 0 || reasons.includes('conditionNotMet');
}

/**
 * An answer that says no to this request, and would to the same one again. Whether it would to others too, only another one can tell. Not: the account (401), the
 * pace (408, 429), or another generation.
 */
export function isRefusal(error: unknown): boolean {
  const status = statusOf(error);
  if (status === undefined || status < 400 || status > 499) return false;
  return ![401, 408, 429].includes(status) && !isConditionNotMet(error);
}

const ROLE_HINT =
  'grant the role roles/storage.objectUser on the bucket (at least storage.objects.create, storage.objects.get and storage.objects.delete)';
const CREDENTIALS_HINT =
  'set GOOGLE_APPLICATION_CREDENTIALS to a service-account key file, or use `gcloud auth application-default login`';

export function missingPermission(bucket: string, permissions: readonly string[]): Text2ImgError {
  return new Text2ImgError(
    'store_unwritable',
    `the bucket ${bucket} does not give these credentials ${permissions.join(' and ')}: ${ROLE_HINT}.`,
  );
}

export function missingBucket(bucket: string, cause?: unknown): Text2ImgError {
  return new Text2ImgError(
    'store_unwritable',
    `the bucket ${bucket} does not exist (or is hidden from these credentials): create it, or correct --gcs-bucket.`,
    { cause },
  );
}

/** The last word on a request that is not repeated, or not any more. */
export function storeError(error: unknown, bucket: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const options = { cause: error };
  const said = safeMessage(error);
  const status = statusOf(error);
  if (isConditionNotMet(error))
    return new Text2ImgError(
      'store_failed',
      `an object of the bucket ${bucket} was changed by others meanwhile.`,
      options,
    );
  if (error instanceof UnbelievableAnswerError)
    return new Text2ImgError('store_failed', `the bucket ${bucket} cannot be reached: ${said}.`, options);
  if (status === 401) {
    return new Text2ImgError(
      'store_unwritable',
      `the bucket ${bucket} does not accept the credentials (${said}): ${CREDENTIALS_HINT}.`,
      options,
    );
  }
  if (status === 403)
    return new Text2ImgError('store_unwritable', `the bucket ${bucket} refused (${said}): ${ROLE_HINT}.`, options);
  if (status === 404) return missingBucket(bucket, error);
  if (isCredentialsFault(error)) return credentialsError(error);
  return new Text2ImgError('store_failed', `the bucket ${bucket} cannot be used: ${said}.`, options);
}

/** The error for an image that the bucket refuses while it takes others. */
export function refusedImage(refusal: unknown, url: string): Text2ImgError {
  return new Text2ImgError(
    'store_refused',
    `the bucket takes other objects, but refuses ${url}: ${safeMessage(refusal)}.`,
    { cause: refusal },
  );
}

/** There is no token: no account is found, or the server that issues tokens does not answer. */
export function credentialsError(error: unknown): Text2ImgError {
  const cause = error instanceof Text2ImgError ? (error.cause ?? error) : error;
  if (error instanceof Text2ImgError && cause === error) return error;
  const said = safeMessage(cause);
  const clock = /\biat\b|\bexp values|timeframe/i.test(said) ? ' Compare this machine’s clock, too.' : '';
  return new Text2ImgError(
    'store_unwritable',
    `there are no usable Google credentials (${said}): ${CREDENTIALS_HINT}.${clock}`,
    { cause },
  );
}

/** The bucket does not accept the token, or google-auth-library says that there is none or that the token service refuses it. */
export function isCredentialsFault(error: unknown): boolean {
  if (statusOf(error) === 401) return true;
  return /default credentials|invalid_grant|invalid_client|account not found|unable to parse|private.?key|PEM|DECODER/i.test(
    safeMessage(error),
  );
}

const MAX_MESSAGE_CHARACTERS = 300;

/** The error's own words on one line, without tokens, keys and signatures, and without its full stop. */
export function safeMessage(error: unknown): string {
  const { message, code } = asClientError(error);
  // Errors of several addresses (`AggregateError`) have no message of their own.
  const text = message === undefined || message === '' ? String(code ?? 'unknown error') : message;
  const clean = text
    .replaceAll(/-----BEGIN[\s\S]*?(?:-----END[^-]*-----|$)/g, '[redacted]')
    .replaceAll(/\bbearer\s+[\w.~+/=-]+/gi, 'Bearer [redacted]')
    .replaceAll(/\bya29\.[\w.-]+/g, '[redacted]')
    .replaceAll(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '[redacted]')
    .replaceAll(
      /\b((?:x-goog-)?(?:signature|credential)|access_token|assertion|upload_id)=[^&\s"']+/gi,
      '$1=[redacted]',
    )
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '');
  return clean.length > MAX_MESSAGE_CHARACTERS ? `${clean.slice(0, MAX_MESSAGE_CHARACTERS)}…` : clean;
}

function asClientError(error: unknown): ClientError {
  return typeof error === 'object' && error !== null ? error : { message: String(error) };
}
