/**
 * Claim: takes documents whose lease ran out or whose retry is due, then pending ones, and makes them this worker's. A row whose document is no JSON
 * object any more is set aside as an error in the same transaction, its text untouched.
 */
import { promptFieldsOf } from '../../job/prompt-document.ts';
import type { ClaimedPrompt, Endings, ModelSelection } from '../prompt-queue.ts';
import { claimOf } from '../transitions.ts';
import { nextByTurns, nextOfModels, type Turn } from './claim-order.ts';
import { type Ended, endUnclaimed } from './end-unclaimed.ts';
import { ATTEMPTS, isFor, LEASE_IS_OVER, parametersOf, RUN_ID } from './expressions.ts';
import { documentOf, identityOf } from './rows.ts';
import { NOW_MS, type Row, type Statements } from './statements.ts';

export interface ClaimOptions {
  readonly limit: number;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  readonly owner: string;
  /** Where the queue is, for the `docKey`. */
  readonly path: string;
  readonly endings: Endings | undefined;
  readonly models: ModelSelection | undefined;
  /** Whose turn was the last; undefined: there are no turns. */
  readonly turn: Turn | undefined;
}

export interface Claimed {
  readonly claims: readonly ClaimedPrompt[];
  /** Rows that ended because nobody can read them. */
  readonly ended: readonly Ended[];
}

const OWN = `token = lower(hex(randomblob(16))), owner = ?1, worker = ?1, leased_ms = ${NOW_MS}, lease_until_ms = ${NOW_MS} + ?2`;

const EXPIRED = `
UPDATE prompts SET ${OWN}, attempts = ${ATTEMPTS} + 1, run_id = ${RUN_ID},
  previous_died = CASE WHEN awaits_retry THEN previous_died ELSE 1 END, awaits_retry = 0
WHERE seq IN (
  SELECT seq FROM prompts WHERE status = 'processing' AND ${LEASE_IS_OVER} AND ${ATTEMPTS} < ?3
    AND ${isFor({ named: '?5', unnamed: '?6' })}
  ORDER BY lease_until_ms LIMIT ?4
)
RETURNING *`;

const TAKE_PENDING = `
UPDATE prompts SET ${OWN}, status = 'processing',
  run_id = CASE WHEN resume THEN ${RUN_ID} ELSE lower(hex(randomblob(16))) END,
  attempts = CASE WHEN resume THEN ${ATTEMPTS} + 1 ELSE 1 END,
  previous_died = CASE WHEN resume THEN previous_died ELSE 0 END,
  resume = 0, awaits_retry = 0`;
const PENDING = `${TAKE_PENDING}
WHERE seq IN (SELECT seq FROM prompts WHERE status = 'pending' ORDER BY priority DESC, seq LIMIT ?3)
RETURNING *`;
const CHOSEN = `${TAKE_PENDING}
WHERE status = 'pending' AND seq IN (SELECT value FROM json_each(?3))
RETURNING *`;

const UNREADABLE = {
  code: 'invalid_document',
  message: 'its document is no JSON object any more; another program wrote it.',
} as const;

/** How often rows that nobody can read make room for others in one transaction. */
const MAX_ROUNDS = 50;

export function claim(statements: Statements, options: ClaimOptions): Claimed {
  return statements.transaction(() => {
    const claims: ClaimedPrompt[] = [];
    const ended: Ended[] = [];
    for (let round = 0; round < MAX_ROUNDS && claims.length < options.limit; round++) {
      const rows = takeRows(statements, { ...options, limit: options.limit - claims.length });
      if (rows.length === 0) break;
      for (const row of rows) {
        const document = documentOf(row);
        if (document !== undefined) claims.push(toClaim(row, { document, path: options.path }));
        else ended.push(endUnclaimed(statements, row, { ...options, failure: UNREADABLE }));
      }
    }
    return { claims, ended };
  });
}

function takeRows(statements: Statements, options: ClaimOptions): readonly Row[] {
  const { limit, leaseMs, maxAttempts, owner, models } = options;
  const expired = statements.all(EXPIRED, owner, leaseMs, maxAttempts, limit, ...parametersOf(models));
  if (expired.length >= limit) return expired;
  return [...expired, ...takePending(statements, { ...options, limit: limit - expired.length })];
}

/** RETURNING promises no order. */
function takePending(statements: Statements, options: ClaimOptions): readonly Row[] {
  const { limit, leaseMs, owner, models, turn } = options;
  if (models === undefined) return statements.all(PENDING, owner, leaseMs, limit).toSorted(byRank);
  const chosen =
    turn === undefined ? nextOfModels(statements, models, limit) : nextByTurns(statements, turn, { models, limit });
  if (chosen.length === 0) return [];
  const places = new Map(chosen.map((seq, place) => [seq, place]));
  const placeOf = ({ seq }: Row): number => places.get(Number(seq)) ?? 0;
  const taken = statements.all(CHOSEN, owner, leaseMs, JSON.stringify(chosen));
  return taken.toSorted((a, b) => placeOf(a) - placeOf(b));
}

function byRank(a: Row, b: Row): number {
  return Number(b['priority']) - Number(a['priority']) || Number(a['seq']) - Number(b['seq']);
}

function toClaim(
  row: Row,
  { document, path }: { readonly document: ClaimedPrompt['document']; readonly path: string },
): ClaimedPrompt {
  return claimOf(identityOf(path, row), {
    token: String(row['token']),
    document: promptFieldsOf(document),
    fieldNames: Object.keys(document),
    runId: row['run_id'],
    attempts: row['attempts'],
    previousDied: row['previous_died'] === 1,
    model: row['model'],
  });
}
