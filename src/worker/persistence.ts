/** Repeats a write to the queue that failed, as long as the claim is surely ours. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Text2ImgError } from '../errors/text2img-error.ts';
import type { Logger } from '../observability/logger.ts';

export interface PersistenceOptions {
  readonly what: string;
  readonly mayGoOn: () => boolean;
  readonly logger: Logger;
}

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;

/** @throws what `write` threw last */
export async function persistently<T>(
  write: () => Promise<T>,
  { what, mayGoOn, logger }: PersistenceOptions,
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    try {
      return await write();
    } catch (error) {
      // Only what another try can mend.
      if (!mayGoOn() || !Text2ImgError.from(error).retryable) throw error;
      logger.warning('a write to the queue failed and is repeated', {
        what,
        error: error instanceof Error ? error.message : String(error),
      });
      await sleep(pauseMs);
    }
  }
}
