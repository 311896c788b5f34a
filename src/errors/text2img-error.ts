/**
 * The one error class of the project. A part that fails throws this, with a code of `error-codes.ts`. Any other error that surfaces is a bug in our
 * code and is reported as `internal`.
 */
import { messageOf } from '../lib/disk-errors.ts';
import { boundedSentence, cut } from '../lib/foreign-text.ts';
import { ERROR_CODES, type ErrorCode, type ErrorConsequence, type ErrorFault } from './error-codes.ts';

/** The frames that tell anything are the first. */
const STACK_LENGTH = 4000;

export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack?: string;
}

/**
 * @param code stable, documented in `docs/errors.md`
 * @param message one sentence that quotes the bad value and lists the allowed ones. The constructor takes secrets out, escapes it and cuts it to 560
 * characters. So any quoted text is safe to show, to log and to send
 */
export class Text2ImgError extends Error {
  override readonly name = 'Text2ImgError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(boundedSentence(message), options);
    this.code = code;
  }

  /** Whose fault it is; decides the exit code. */
  get fault(): ErrorFault {
    return ERROR_CODES[this.code].fault;
  }

  /** The effect on the job that met the error. */
  get consequence(): ErrorConsequence {
    return ERROR_CODES[this.code].consequence;
  }

  /** Whether doing the same thing again, now or later, may succeed. */
  get retryable(): boolean {
    return this.consequence !== 'fail';
  }

  /** The form that crosses the process boundary and the queue. */
  toJSON(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      ...(this.stack === undefined ? {} : { stack: cut(this.stack, STACK_LENGTH) }),
    };
  }

  static fromJSON(error: SerializedError): Text2ImgError {
    const revived = new Text2ImgError(error.code, error.message);
    if (error.stack !== undefined) revived.stack = cut(error.stack, STACK_LENGTH);
    return revived;
  }

  /** `error` itself when it is ours, else an `internal` error with `error` as its cause. */
  static from(error: unknown): Text2ImgError {
    if (error instanceof Text2ImgError) return error;
    return new Text2ImgError('internal', `unexpected error: ${messageOf(error)}`, { cause: error });
  }
}
