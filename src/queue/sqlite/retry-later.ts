/** Retry later: stays `processing`, owned by nobody, claimable when the pause is over. The attempt counts. */
import { diedWithoutVerdict, errorText } from '../failure-text.ts';
import type { LaterOptions } from '../prompt-queue.ts';
import { newToken } from '../transitions.ts';
import type { RowKey } from './rows.ts';
import { NOW_MS, type Statements } from './statements.ts';

const RETRY_LATER = `
UPDATE prompts SET token = ?1, owner = NULL, lease_until_ms = ${NOW_MS} + ?2, awaits_retry = 1, previous_died = ?3, last_error = ?4,
  progress_step = NULL, progress_steps = NULL
WHERE id = ?5 AND token = ?6 AND status = 'processing'`;

const WAITS_ALREADY = `SELECT 1 FROM prompts WHERE id = ?1 AND token = ?2 AND status = 'processing'`;

export function retryLater(
  statements: Statements,
  claim: RowKey,
  { delayMs, failure, waitToken = newToken() }: LaterOptions,
): boolean {
  const died = diedWithoutVerdict(failure) ? 1 : 0;
  const values = [waitToken, Math.round(delayMs), died, errorText(failure)] as const;
  return (
    statements.run(RETRY_LATER, ...values, claim.id, claim.token) === 1 ||
    statements.get(WAITS_ALREADY, claim.id, waitToken) !== undefined
  );
}
