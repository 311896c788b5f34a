/** The driver's errors as ours: whose fault, whether a repetition may help, and never a password. */
import {
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
} from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';

/** The server will not store the document: a foreign validator, or it would be larger than 16 MB. Codes of MongoDB's `error_codes.yml`. */
const REFUSED: ReadonlySet<unknown> = new Set([2, 9, 14, 28, 40, 121, 10334, 17280, 17419, 17420]);
const UNAUTHORIZED: ReadonlySet<unknown> = new Set([13, 18, 8000]);

/** A duplicate key. */
export const DUPLICATE_KEY = 11000;
/** Change streams exist on replica sets only. */
export const NOT_A_REPLICA_SET = 40573;

export function mongoErrorCode(error: unknown): unknown {
  return error instanceof MongoServerError ? error.code : undefined;
}

export function isUnauthorized(error: unknown): boolean {
  return UNAUTHORIZED.has(mongoErrorCode(error));
}

/** @param place names the queue in the sentence */
export function queueError(error: unknown, place: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const message = withoutPassword(error instanceof Error ? error.message : String(error));
  // A document too large to be sent is refused by the driver itself.
  const isTooLarge =
    error instanceof RangeError ||
    /BSON(?:Obj| document)? ?(?:size|is too large)|object to insert too large/i.test(message);
  if (REFUSED.has(mongoErrorCode(error)) || isTooLarge || error instanceof MongoBulkWriteError)
    return new Text2ImgError('invalid_document', `the server refuses the document: ${message}.`, { cause: error });
  if (isUnauthorized(error))
    return new Text2ImgError('queue_unauthorized', `${place} does not let this user in or do this: ${message}.`, {
      cause: error,
    });
  if (error instanceof MongoServerSelectionError || error instanceof MongoNetworkError || isSystemError(error))
    return new Text2ImgError('queue_failed', `${place} cannot be reached: ${message}.`, { cause: error });
  if (error instanceof MongoError)
    return new Text2ImgError('queue_failed', `${place} answered: ${message}.`, { cause: error });
  return Text2ImgError.from(error);
}

/** The driver passes some errors of its sockets on as they are (`EPIPE`: found by the chaos test). */
function isSystemError(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && /^(?:E[A-Z]+$|ERR_(?:SOCKET|STREAM|TLS|SSL))/.test(code);
}

export function withoutPassword(text: string): string {
  return text.replaceAll(/(mongodb(?:\+srv)?:\/\/)[^\s/@]*@/gi, '$1[redacted]@').replace(/\.$/, '');
}
