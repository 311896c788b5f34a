/** Repeats a request to the bucket until it succeeds, fails for good, is aborted, or the time is up. */
import { pause } from '../lib/pause.ts';
import { isTransient, retryAfterMs, safeMessage } from './gcs-errors.ts';
import { type Logger, silentLogger } from '../observability/logger.ts';

export interface RetryOptions {
  /** For the log. */
  readonly what: string;
  /** No second try. */
  readonly once?: boolean | undefined;
  /** From the first try to the end of the last one, unless its bytes still move then. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly logger?: Logger | undefined;
  /** In [0, 1). */
  readonly random?: (() => number) | undefined;
}

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 8000;
/** Whatever a server asks for, it is asked again after this long. */
const MAX_RETRY_AFTER_MS = 30_000;

/** @param attempt is given the time that is left @throws what it threw last; the signal's reason when it is aborted */
export async function retrying<T>(attempt: (leftMs: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { what, once = false, deadlineMs, signal, logger = silentLogger, random = Math.random } = options;
  const endMs = performance.now() + deadlineMs;
  for (let tries = 1; ; tries += 1) {
    signal?.throwIfAborted();
    try {
      return await attempt(endMs - performance.now());
    } catch (error) {
      // An abort may surface as a broken connection.
      signal?.throwIfAborted();
      const backoffMs = Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), MAX_PAUSE_MS) * (0.5 + random() / 2);
      const asked = Math.min(retryAfterMs(error, Date.now()) ?? 0, MAX_RETRY_AFTER_MS);
      const pauseMs = Math.max(backoffMs, asked);
      if (once || !isTransient(error) || performance.now() + pauseMs > endMs) throw error;
      logger.warning('a request to the bucket failed and is repeated', {
        what,
        try: tries,
        pause_ms: Math.round(pauseMs),
        error: safeMessage(error),
      });
      await pause(pauseMs, signal);
    }
  }
}
