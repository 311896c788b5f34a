/** Retry later: stays `processing`, owned by nobody, claimable when the pause is over. The attempt counts. */
import { randomBytes } from 'node:crypto';
import { type Database, NOW_MS } from './database.ts';

const RETRY_LATER = `
UPDATE prompts SET token = ?1, owner = NULL, lease_until_ms = ${NOW_MS} + ?2, awaits_retry = 1, previous_died = ?3,
  progress_step = NULL, progress_steps = NULL
WHERE id = ?4 AND token = ?5 AND status = 'processing'`;

const WAITS_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'processing'`;

export interface RetryOptions {
  readonly delayMs: number;
  /** The attempt ended without a verdict on this document: the engine died under it. */
  readonly died: boolean;
  /** Default: one that nobody knows. */
  readonly waitToken: string | undefined;
}

export function retryLater(
  database: Database,
  claim: { readonly id: string; readonly token: string },
  { delayMs, died, waitToken = randomBytes(16).toString('hex') }: RetryOptions,
): boolean {
  const changed = database.run(RETRY_LATER, waitToken, Math.round(delayMs), died ? 1 : 0, claim.id, claim.token);
  return changed === 1 || database.get(WAITS_ALREADY, claim.id, waitToken) !== undefined;
}
