/** Repeats a write to the queue that failed, as long as the claim is surely ours and nobody ends the worker. */
import { Text2ImgError } from '../errors/text2img-error.ts';
import { messageOf } from '../lib/disk-errors.ts';
import { growingPauseMs, pause } from '../lib/pause.ts';
import type { Logger } from '../observability/logger.ts';

export interface PersistenceOptions {
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
export async function persistently<T>(
  write: () => Promise<T>,
  { what, mayGoOn, logger, patienceMs, signal }: PersistenceOptions,
): Promise<T> {
  const endMs = performance.now() + patienceMs;
  for (let failures = 1; ; failures++) {
    try {
      return await write();
    } catch (error) {
      // Only what another try can mend.
      const isOver = signal.aborted || !mayGoOn() || performance.now() > endMs;
      if (isOver || !Text2ImgError.from(error).retryable) throw error;
      logger.warning('a write to the queue failed and is repeated', { what, error: messageOf(error) });
      await pause(growingPauseMs(failures, PAUSES), signal);
    }
  }
}
