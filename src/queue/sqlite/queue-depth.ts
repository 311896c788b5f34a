/** How long the queue is: counts that end at a limit, so that they cost the same for any number of documents. */
import type { DepthOptions, QueuePosition } from '../prompt-queue.ts';
import { OPEN_STATUSES } from '../transitions.ts';
import { oneOf } from './expressions.ts';
import { NOW_MS, type Statements } from './statements.ts';

const PENDING = `SELECT 1 FROM prompts WHERE status = 'pending' LIMIT ?1`;
const PROCESSING = `SELECT 1 FROM prompts WHERE status = 'processing' LIMIT ?1`;
const TENANT_PENDING = `SELECT 1 FROM prompts WHERE tenant = ?2 AND status = 'pending' LIMIT ?1`;
const TENANT_OPEN = `SELECT 1 FROM prompts WHERE tenant = ?2 AND status IN ${oneOf(OPEN_STATUSES)} LIMIT ?1`;

/** Two ranges of the index: those of a higher priority, and the older ones of the same. */
const PLACE = `SELECT seq, priority FROM prompts WHERE id = ?1 AND status = 'pending'`;
const ABOVE = `SELECT 1 FROM prompts WHERE status = 'pending' AND priority > ?2 LIMIT ?1`;
const BEFORE = `SELECT 1 FROM prompts WHERE status = 'pending' AND priority = ?2 AND seq < ?3 LIMIT ?1`;

const OLDEST = `SELECT ${NOW_MS} - min(enqueued_ms) AS age_ms FROM prompts WHERE status = 'pending'`;

export function depth(statements: Statements, { tenant, status, most }: DepthOptions): number {
  if (tenant !== undefined)
    return countOf(statements, status === 'pending' ? TENANT_PENDING : TENANT_OPEN, most, tenant);
  const pending = countOf(statements, PENDING, most);
  return status === 'pending' || pending >= most ? pending : pending + countOf(statements, PROCESSING, most - pending);
}

export function placeInQueue(statements: Statements, id: string, most: number): QueuePosition | undefined {
  const row = statements.get(PLACE, id);
  if (row === undefined) return undefined;
  const [priority, seq] = [Number(row['priority']), Number(row['seq'])];
  const above = countOf(statements, ABOVE, most, priority);
  const ahead = above + (above < most ? countOf(statements, BEFORE, most - above, priority, seq) : 0);
  return { ahead, isCapped: ahead >= most };
}

export function oldestPendingMs(statements: Statements): number | undefined {
  const age = statements.get(OLDEST)?.['age_ms'];
  return typeof age === 'number' ? Math.max(0, age) : undefined;
}

function countOf(statements: Statements, sql: string, ...parameters: readonly (number | string)[]): number {
  return Number(statements.get(`SELECT count(*) AS count FROM (${sql})`, ...parameters)?.['count']);
}
