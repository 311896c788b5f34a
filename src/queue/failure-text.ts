/** The text in a failed document's `error`. */
import { ERROR_CODES } from '../errors/error-codes.ts';
import type { FailureRecord } from './prompt-queue.ts';

export type { FailureRecord };

const MAX_ERROR_LENGTH = 500;

/** The code, then the sentence; at most 500 characters. */
export function errorText({ code, message }: FailureRecord): string {
  const text = `${code}: ${message}`;
  return text.length <= MAX_ERROR_LENGTH ? text : `${text.slice(0, MAX_ERROR_LENGTH - 1)}…`;
}

/** The engine, not the document, ended the attempt: the next one is generated alone. */
export function diedWithoutVerdict({ code }: FailureRecord): boolean {
  return ERROR_CODES[code].consequence === 'retry-alone';
}
