/** Release: gives a document back unharmed. It is pending again, the same run goes on, and the attempt does not count. */
import type { RowKey } from './rows.ts';
import type { Statements } from './statements.ts';

const RELEASE = `
UPDATE prompts SET status = 'pending', resume = 1, attempts = max(0, attempts - ?1), token = NULL, owner = NULL, lease_until_ms = NULL,
  awaits_retry = 0, progress_step = NULL, progress_steps = NULL
WHERE id = ?2 AND token = ?3 AND status = 'processing'`;

/** @param attempts so many do not count */
export function release(statements: Statements, claim: RowKey, attempts: number): boolean {
  return statements.run(RELEASE, attempts, claim.id, claim.token) === 1;
}
