/** Repeats a failed call: with pauses that grow and differ from worker to worker, until a deadline, a number of attempts, or a signal. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { growingPauseMs, type PauseRange, pause } from './pause.ts';

interface FailedAttempt {
  /** From 1. */
  readonly failures: number;
  /** Before the next attempt. */
  readonly pauseMs: number;
}

export interface RetryOptions extends PauseRange {
  /** Whether another attempt may end otherwise. Default: the error's consequence is not `fail`. Asked once for each failure. */
  readonly mayHelp?: (error: unknown) => boolean;
  /** No pause begins that would last beyond it, counted from the first attempt. */
  readonly deadlineMs: number;
  readonly maxAttempts?: number;
  /** The shortest pause after this error, where a server asks for one. */
  readonly minPauseMs?: (error: unknown) => number;
  /** Aborted: it ends the pause, and there is no further attempt. An attempt under way is its own affair. */
  readonly signal?: AbortSignal | undefined;
  readonly onFailure?: (error: unknown, failed: FailedAttempt) => void;
}

/**
 * @param attempt is given the time that is left, in milliseconds
 * @throws what the last attempt threw, also where the signal ended it
 */
export async function retry<T>(attempt: (leftMs: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { mayHelp = isWorthRetrying, deadlineMs, maxAttempts = Infinity, minPauseMs, signal, onFailure } = options;
  const endMs = performance.now() + deadlineMs;
  for (let failures = 1; ; failures++) {
    try {
      return await attempt(endMs - performance.now());
    } catch (error) {
      if (isAborted(signal) || failures >= maxAttempts || !mayHelp(error)) throw error;
      const pauseMs = Math.max(growingPauseMs(failures, options), minPauseMs?.(error) ?? 0);
      if (performance.now() + pauseMs > endMs) throw error;
      onFailure?.(error, { failures, pauseMs });
      await pause(pauseMs, signal);
      if (isAborted(signal)) throw error;
    }
  }
}

function isWorthRetrying(error: unknown): boolean {
  return Text2ImgError.from(error).retryable;
}

/** A function, because it changes while something is awaited. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
