/** Claim: takes documents whose lease ran out or whose retry is due, then pending ones, and makes them this worker's. */
import { type Database, NOW_MS, type Row } from './database.ts';

export interface ClaimOptions {
  readonly limit: number;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  readonly owner: string;
}

const OWN = `token = lower(hex(randomblob(16))), owner = ?1, lease_until_ms = ${NOW_MS} + ?2`;

const EXPIRED = `
UPDATE prompts SET ${OWN}, attempts = attempts + 1,
  previous_died = CASE WHEN awaits_retry THEN previous_died ELSE 1 END, awaits_retry = 0
WHERE seq IN (
  SELECT seq FROM prompts WHERE status = 'processing' AND lease_until_ms <= ${NOW_MS} AND attempts < ?3
  ORDER BY lease_until_ms LIMIT ?4
)
RETURNING *`;

const PENDING = `
UPDATE prompts SET ${OWN}, status = 'processing',
  run_id = CASE WHEN resume THEN run_id ELSE lower(hex(randomblob(16))) END,
  attempts = CASE WHEN resume THEN attempts + 1 ELSE 1 END,
  previous_died = CASE WHEN resume THEN previous_died ELSE 0 END,
  resume = 0, awaits_retry = 0
WHERE seq IN (SELECT seq FROM prompts WHERE status = 'pending' ORDER BY priority DESC, seq LIMIT ?3)
RETURNING *`;

export function claim(database: Database, { limit, leaseMs, maxAttempts, owner }: ClaimOptions): readonly Row[] {
  const expired = database.all(EXPIRED, owner, leaseMs, maxAttempts, limit);
  if (expired.length >= limit) return expired;
  const pending = database.all(PENDING, owner, leaseMs, limit - expired.length);
  // RETURNING promises no order.
  const byRank = (a: Row, b: Row): number =>
    Number(b['priority']) - Number(a['priority']) || Number(a['seq']) - Number(b['seq']);
  return [...expired, ...pending.toSorted(byRank)];
}
