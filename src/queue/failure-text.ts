/** What stands in a failed document's `error`. */
import type { FailureRecord } from './prompt-queue.ts';

export type { FailureRecord };

const MAX_ERROR_LENGTH = 500;

/** The code, then the sentence; at most 500 characters. */
export function errorText({ code, message }: FailureRecord): string {
  const text = `${code}: ${message}`;
  return text.length <= MAX_ERROR_LENGTH ? text : `${text.slice(0, MAX_ERROR_LENGTH - 1)}…`;
}

/** Faults under which the engine, not the document, ended the attempt: the next one is drawn alone. */
export const WITHOUT_VERDICT: ReadonlySet<string> = new Set([
  'engine_crashed',
  'engine_out_of_memory',
  'engine_stalled',
]);
