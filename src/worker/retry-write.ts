/** Repeats a write to the queue that failed, while the claim is surely this worker's and nobody ends the worker. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { retry } from '../lib/retry.ts';
import type { Logger } from '../observability/logger.ts';

export interface RetryWriteOptions {
  /** For the log. */
  readonly what: string;
  readonly mayGoOn: () => boolean;
  readonly logger: Logger;
  /** Not repeated for longer: a queue that renews a claim may still refuse its ending. */
  readonly patienceMs: number;
  /** Aborted: not repeated any more. */
  readonly signal: AbortSignal;
}

const PAUSES = { firstMs: 50, maxMs: 2000 } as const;

/** @throws what `write` threw last */
export function retryWrite<T>(write: () => Promise<T>, options: RetryWriteOptions): Promise<T> {
  const { what, mayGoOn, logger, patienceMs, signal } = options;
  return retry(write, {
    ...PAUSES,
    mayHelp: (error) => mayGoOn() && Text2ImgError.from(error).retryable,
    deadlineMs: patienceMs,
    signal,
    onFailure: (error) => logger.repeated('a write to the queue failed and is repeated', { what, error }),
  });
}
