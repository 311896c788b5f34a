/**
 * The one error class of the project. A part that fails throws this, with a code of `error-codes.ts`; anything else
 * that surfaces is a bug of ours and is reported as `internal`.
 */
import { ERROR_CODES, type ErrorCode, type ErrorFault } from './error-codes.ts';

export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack?: string;
}

/**
 * @param code stable, documented in `docs/errors.md`
 * @param message one sentence that quotes the bad value and lists the allowed ones; safe to show to a user
 */
export class Text2ImgError extends Error {
  override readonly name = 'Text2ImgError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whose fault it is; decides the exit code. */
  get fault(): ErrorFault {
    return ERROR_CODES[this.code].fault;
  }

  /** Whether doing the same thing again may succeed. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  /** The form that crosses the process boundary and the queue. */
  toJSON(): SerializedError {
    return { code: this.code, message: this.message, ...(this.stack === undefined ? {} : { stack: this.stack }) };
  }

  static fromJSON(error: SerializedError): Text2ImgError {
    const revived = new Text2ImgError(error.code, error.message);
    if (error.stack !== undefined) revived.stack = error.stack;
    return revived;
  }

  /** `error` itself when it is ours, else an `internal` error with `error` as its cause. */
  static from(error: unknown): Text2ImgError {
    if (error instanceof Text2ImgError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new Text2ImgError('internal', `unexpected error: ${message}`, { cause: error });
  }
}
