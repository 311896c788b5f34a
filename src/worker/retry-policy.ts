/** Decides what follows a failed attempt that counts: the code's consequence says whether another attempt may end otherwise. */
import { ERROR_CODES } from '../errors/error-codes.ts';
import type { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs } from '../lib/pause.ts';
import type { FailureRecord } from '../queue/prompt-queue.ts';

export type Verdict =
  | { readonly kind: 'fail'; readonly failure: FailureRecord }
  | { readonly kind: 'retry'; readonly failure: FailureRecord; readonly delayMs: number };

const DELAYS = { firstMs: 1000, maxMs: 5 * 60_000 } as const;

/** A refused prompt is its sender's fault: nobody who looks after the service has to get up for it. */
export function levelOf({ code }: FailureRecord): 'warning' | 'error' {
  return ERROR_CODES[code].fault === 'request' ? 'warning' : 'error';
}

export interface AttemptFacts {
  readonly attempt: number;
  readonly maxAttempts: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** Whether a failure of this attempt ends the document. A number that is none is not believed: it ends too, instead of never. */
export function isLastAttempt({ attempt, maxAttempts }: AttemptFacts): boolean {
  return !(attempt < maxAttempts);
}

export function judge(error: Text2ImgError, facts: AttemptFacts): Verdict {
  const { attempt, maxAttempts, random = Math.random } = facts;
  const failure = { code: error.code, message: error.message };
  if (error.consequence === 'fail') return { kind: 'fail', failure };
  if (isLastAttempt(facts)) {
    return {
      kind: 'fail',
      failure: {
        code: 'attempts_exhausted',
        message: `all ${maxAttempts} attempts failed; the last one: ${error.code}: ${error.message}`,
      },
    };
  }
  return { kind: 'retry', failure, delayMs: growingPauseMs(attempt, { ...DELAYS, random }) };
}
