/** An error as log lines have it, under one name: `error.code`, `error.message`, and `error.stack` where the error is a bug. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { isDiskFull, messageOf } from '../lib/disk-errors.ts';

export interface ErrorFields {
  readonly code?: string;
  readonly message: string;
  /** Only of bugs: for every other error the sentence says all there is to do. */
  readonly stack?: string;
}

/** @param thrown any thrown value; one that is not ours counts as a bug */
export function errorFields(thrown: unknown): ErrorFields {
  const error = Text2ImgError.from(thrown);
  const { code, message, fault } = error;
  const stack = (error.cause instanceof Error ? error.cause : error).stack;
  return fault !== 'bug' || stack === undefined ? { code, message } : { code, message, stack };
}

/** The error of another program (a server, a library) in its own words, without a stack from our code. Only a full disk has a code: the one name that it has everywhere. */
export function foreignErrorFields(thrown: unknown): ErrorFields {
  if (thrown instanceof Text2ImgError) return errorFields(thrown);
  return isDiskFull(thrown) ? { code: 'disk_full', message: messageOf(thrown) } : { message: messageOf(thrown) };
}
