/** What becomes of a document whose attempt failed: a fault of the prompt, the model or ours is a verdict, a fault of the infrastructure is tried again. */
import type { Text2ImgError } from '../errors/text2img-error.ts';
import type { FailureRecord } from '../queue/prompt-queue.ts';

export type Verdict =
  | { readonly kind: 'fail'; readonly failure: FailureRecord }
  | { readonly kind: 'retry'; readonly failure: FailureRecord; readonly delayMs: number };

const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 5 * 60_000;

/** Infrastructure faults that another attempt would meet again. */
const FINAL: ReadonlySet<string> = new Set(['foreign_object', 'attempts_exhausted']);

export interface AttemptFacts {
  readonly attempt: number;
  readonly maxAttempts: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

export function judge(error: Text2ImgError, { attempt, maxAttempts, random = Math.random }: AttemptFacts): Verdict {
  const failure = { code: error.code, message: error.message };
  if (error.fault !== 'infrastructure' || FINAL.has(error.code)) return { kind: 'fail', failure };
  if (attempt >= maxAttempts) {
    return {
      kind: 'fail',
      failure: {
        code: 'attempts_exhausted',
        message: `all ${maxAttempts} attempts failed; the last one: ${error.code}: ${error.message}`,
      },
    };
  }
  const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS) * (0.5 + random());
  return { kind: 'retry', failure, delayMs: Math.round(delayMs) };
}
