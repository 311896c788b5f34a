/** Retry later: stays `processing`, owned by nobody, claimable when the pause is over. The attempt counts. */
import { type Database, NOW_MS } from './database.ts';

const RETRY_LATER = `
UPDATE prompts SET token = lower(hex(randomblob(16))), owner = NULL, lease_until_ms = ${NOW_MS} + ?1, awaits_retry = 1, previous_died = ?2,
  progress_step = NULL, progress_steps = NULL
WHERE id = ?3 AND token = ?4 AND status = 'processing'`;

export interface RetryOptions {
  readonly delayMs: number;
  /** The attempt ended without a verdict on this document: the engine died under it. */
  readonly died: boolean;
}

export function retryLater(
  database: Database,
  claim: { readonly id: string; readonly token: string },
  { delayMs, died }: RetryOptions,
): boolean {
  return database.run(RETRY_LATER, Math.round(delayMs), died ? 1 : 0, claim.id, claim.token) === 1;
}
