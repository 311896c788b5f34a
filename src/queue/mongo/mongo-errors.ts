/** The driver's errors as ours: whose fault, whether a repetition may help, and never a password. */
import {
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
} from 'mongodb';
import { Text2ImgError } from '../../errors/text2img-error.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { excerpt } from '../../lib/foreign-text.ts';

/** The document itself is the cause: it would be larger than 16 MB. Codes of MongoDB's `error_codes.yml`. */
const TOO_LARGE: ReadonlySet<unknown> = new Set([10334, 17280, 17419, 17420]);
/** A validator of the collection does not pass what would be written. */
const VALIDATOR = 121;
/** BadValue, FailedToParse, TypeMismatch, PathNotViable, ConflictingUpdateOperators: of the document, of the statement, or of the server's state. */
const DOUBTFUL: ReadonlySet<unknown> = new Set([2, 9, 14, 28, 40]);
/** Unauthorized, AuthenticationFailed. Not Atlas's 8000, which stands for many things, quota included. */
const UNAUTHORIZED: ReadonlySet<unknown> = new Set([13, 18]);
const OUT_OF_DISK_SPACE = 14031;
/** Longer ones hold the server's query tree. */
const REASON_LENGTH = 300;

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

/** Whether the statement may pass when it is only said again. */
export function isDoubtful(error: unknown): boolean {
  return DOUBTFUL.has(mongoErrorCode(error));
}

/** The hint names no index, or one that is hidden; the code alone says less than the text. */
export function isAboutHint(error: unknown): boolean {
  return mongoErrorCode(error) === 2 && /\bhint\b/i.test(messageOf(error));
}

/** @param place names the queue in the sentence */
export function queueError(error: unknown, place: string): Text2ImgError {
  if (error instanceof Text2ImgError) return error;
  const message = reasonOf(error);
  const code = mongoErrorCode(error);
  const of = (ours: ConstructorParameters<typeof Text2ImgError>[0], sentence: string): Text2ImgError =>
    new Text2ImgError(ours, `${sentence}: ${message}.`, { cause: error });
  if (TOO_LARGE.has(code) || isTooLargeToSend(error)) return of('invalid_document', 'the server refuses the document');
  // For documents that we add: the caller that adds them gets the error.
  if (error instanceof MongoBulkWriteError && (code === DUPLICATE_KEY || code === VALIDATOR))
    return of('invalid_document', 'the server refuses the document');
  if (code === VALIDATOR || DOUBTFUL.has(code)) return of('queue_refused', `${place} refuses the change`);
  const kind = kindOfPlace(error);
  if (kind !== undefined)
    return new Text2ImgError(
      'invalid_option',
      `${place} is a ${kind}, whose documents cannot be changed one by one; name a plain collection with --collection.`,
      { cause: error },
    );
  if (code === OUT_OF_DISK_SPACE) return of('disk_full', `no space is left on the disk of ${place}`);
  if (isUnauthorized(error)) return of('queue_unauthorized', `${place} refuses this user or this operation`);
  if (error instanceof MongoServerSelectionError || error instanceof MongoNetworkError || isSystemError(error))
    return of('queue_failed', `${place} cannot be reached`);
  if (error instanceof MongoError) return of('queue_failed', `${place} answered`);
  return Text2ImgError.from(error);
}

/** The server could not do it now: the same statement may pass a moment later, and what became of it is not known. */
export function isServersTrouble({ code }: Text2ImgError): boolean {
  return code === 'queue_failed' || code === 'disk_full';
}

/** The kind of object that stands, permanently, in the place of a collection. The codes of these answers differ between versions of the server. */
function kindOfPlace(error: unknown): 'view' | 'time-series collection' | undefined {
  if (!(error instanceof MongoServerError)) return undefined;
  if (/\bis a view\b|\bon a? ?view\b/i.test(error.message)) return 'view';
  return /time-?series/i.test(error.message) ? 'time-series collection' : undefined;
}

/** One line of it, without a password and a full stop. */
export function reasonOf(error: unknown): string {
  // When a user lacks a right, the server sends the whole command back.
  const [line = ''] = messageOf(error)
    .replace(/ command \{ *(\w+):.*$/s, ' the command "$1"')
    .split('\n', 1);
  return excerpt(withoutPassword(line), REASON_LENGTH);
}

/** A document too large to be sent is refused by the driver itself. */
function isTooLargeToSend(error: unknown): boolean {
  const { message = '' } = error as { readonly message?: string };
  return (
    error instanceof RangeError ||
    /BSON(?:Obj| document)? ?(?:size|is too large)|object to insert too large/i.test(message)
  );
}

/** The driver passes some errors of its sockets on as they are (`EPIPE`: found by the chaos test). */
function isSystemError(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && /^(?:E[A-Z]+$|ERR_(?:SOCKET|STREAM|TLS|SSL))/.test(code);
}

export function withoutPassword(text: string): string {
  return text.replaceAll(/(mongodb(?:\+srv)?:\/\/)[^\s/@]*@/gi, '$1[redacted]@').replace(/\.$/, '');
}
