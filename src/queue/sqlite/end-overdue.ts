/** Ends jobs whose time is over, by the queue's clock. Those that have a time are in an index of their own. */
import { errorText } from '../failure-text.ts';
import type { OverdueJobs } from '../prompt-queue.ts';
import { OPEN_STATUSES, OVERDUE } from '../transitions.ts';
import { ENDED, oneOf } from './expressions.ts';
import { NOW_MS, type Statements } from './statements.ts';

/** In one transaction. */
const MAX_ROWS = 500;
/** The words of the index. */
const TIMED = `cancel_at_ms IS NOT NULL AND status IN ${oneOf(OPEN_STATUSES)}`;

export const FIRST_TIME = `SELECT cancel_at_ms - ${NOW_MS} AS wait_ms FROM prompts WHERE ${TIMED} ORDER BY cancel_at_ms LIMIT 1`;
const END_OVERDUE = `
UPDATE prompts SET status = 'error', error = ?1, ${ENDED}, image_urls = NULL, token = NULL
WHERE seq IN (SELECT seq FROM prompts WHERE ${TIMED} AND cancel_at_ms <= ${NOW_MS} ORDER BY cancel_at_ms LIMIT ${MAX_ROWS})
RETURNING id`;

export function endOverdue(statements: Statements): OverdueJobs {
  const ended: string[] = [];
  for (;;) {
    // Nearly always there is none, and then nobody is locked out for it.
    const waitMs = statements.get(FIRST_TIME)?.['wait_ms'];
    if (typeof waitMs !== 'number') return { ended, nextMs: undefined };
    if (waitMs > 0) return { ended, nextMs: waitMs };
    const rows = statements.all(END_OVERDUE, errorText(OVERDUE));
    if (rows.length === 0) return { ended, nextMs: 0 };
    ended.push(...rows.map(({ id }) => String(id)));
  }
}
