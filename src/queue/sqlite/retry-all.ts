/** Retry all: ended documents of a selection become pending as new runs, so many in one transaction. */
import type { RetrySelection } from '../prompt-queue.ts';
import { AGAIN } from './retry.ts';
import { NOW_MS, type Statements } from './statements.ts';

const SELECTED = `status = ?1 AND (?2 IS NULL OR substr(error, 1, length(?2)) = ?2) AND (?3 IS NULL OR finished_ms <= ?3)`;

const RETRY_ALL = `
UPDATE prompts SET ${AGAIN}
WHERE seq IN (SELECT seq FROM prompts WHERE ${SELECTED} AND seq > ?4 ORDER BY seq LIMIT ?5)
RETURNING seq`;
const COUNT = `SELECT count(*) AS count FROM prompts WHERE ${SELECTED}`;
const CUTOFF = `SELECT ${NOW_MS} - ?1 AS cutoff`;

export interface RetryBatch {
  readonly retried: number;
  /** The place of the last one: what fails again meanwhile is not retried again. */
  readonly last: number;
}

/** @param after the `last` of the batch before */
export function retryBatch(
  statements: Statements,
  selection: RetrySelection,
  { after, limit }: { readonly after: number; readonly limit: number },
): RetryBatch {
  const rows = statements.all(RETRY_ALL, ...selected(statements, selection), after, limit);
  return { retried: rows.length, last: rows.reduce((last, { seq }) => Math.max(last, Number(seq)), after) };
}

export function countSelected(statements: Statements, selection: RetrySelection): number {
  return Number(statements.get(COUNT, ...selected(statements, selection))?.['count']);
}

function selected(
  statements: Statements,
  { status, code, olderThanMs }: RetrySelection,
): [string, string | null, number | null] {
  const cutoff = olderThanMs === undefined ? null : Number(statements.get(CUTOFF, Math.round(olderThanMs))?.['cutoff']);
  return [status, code === undefined ? null : `${code}:`, cutoff];
}
