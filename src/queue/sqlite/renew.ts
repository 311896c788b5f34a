/** Renew: the lease runs anew from now. */
import type { JobProgress } from '../prompt-queue.ts';
import type { RowKey } from './rows.ts';
import { NOW_MS, type Statements } from './statements.ts';

const RENEW = `
UPDATE prompts SET lease_until_ms = ${NOW_MS} + ?1, progress_step = coalesce(?2, progress_step), progress_steps = coalesce(?3, progress_steps)
WHERE id = ?4 AND token = ?5 AND status = 'processing'`;

export function renew(
  statements: Statements,
  claim: RowKey,
  options: { readonly leaseMs: number; readonly progress: JobProgress | undefined },
): boolean {
  const { leaseMs, progress } = options;
  return statements.run(RENEW, leaseMs, progress?.step ?? null, progress?.steps ?? null, claim.id, claim.token) === 1;
}
