/** Retry: a finished document becomes pending as a new run. */
import { ENDED_STATUSES } from '../transitions.ts';
import { IS_STUCK, oneOf } from './expressions.ts';
import type { Statements } from './statements.ts';

/** The columns of a row when a new run begins. */
export const AGAIN = `status = 'pending', resume = 0, attempts = 0, awaits_retry = 0, token = NULL, owner = NULL, lease_until_ms = NULL, error = NULL,
  last_error = NULL, finished_ms = NULL, worker = NULL, leased_ms = NULL, cancel_at_ms = NULL`;

const RETRY = `
UPDATE prompts SET ${AGAIN}
WHERE id = ?1 AND (status IN ${oneOf(ENDED_STATUSES)} OR (?2 AND status = 'processing' AND ${IS_STUCK}))`;

/** @param options with `force` also one that is `processing` without a lease that ends */
export function retry(statements: Statements, id: string, { force }: { readonly force: boolean }): boolean {
  return statements.run(RETRY, id, force ? 1 : 0) === 1;
}
