/** List, show, count: what operators see, and what tells a worker that there is nothing to do. */
import type { SQLInputValue } from 'node:sqlite';
import { promptFieldsOf } from '../../job/prompt-document.ts';
import { jobSummary } from '../job-record.ts';
import { own } from '../../lib/foreign-record.ts';
import { cursorOf, invalidCursor, LARGEST_PAGE, placeOf } from '../list-cursor.ts';
import type {
  DrainState,
  FollowedJob,
  JobStatus,
  JobSummary,
  ListedJob,
  ListOptions,
  ModelSelection,
  PromptIdentity,
  QueueCounts,
} from '../prompt-queue.ts';
import { isEnded, MOST_OTHERS } from '../transitions.ts';
import { namesOf } from './claim-order.ts';
import { IS_STUCK, isFor, LEASE_END_MS, parametersOf } from './expressions.ts';
import { documentOf, identityOf, jsonOf, timeOf } from './rows.ts';
import { NOW_MS, type Row, type Statements } from './statements.ts';

/** `seq` as text: it may be beyond JavaScript's whole numbers. */
const LIST = `SELECT *, CAST(seq AS TEXT) AS place FROM prompts WHERE seq <= ?2 AND seq >= ?3`;
const PLACE = `SELECT CAST(seq AS TEXT) AS place FROM prompts WHERE seq <= ?2`;
const SHOW = `SELECT * FROM prompts WHERE id = ?1`;
/** No text sorts behind the last character that there is. */
const WITH_PREFIX = `SELECT id FROM prompts WHERE id >= ?1 AND id < ?1 || char(1114111) ORDER BY id LIMIT ?2`;
const COUNTS = `SELECT status, count(*) AS count FROM prompts GROUP BY status`;
const STUCK = `SELECT count(*) AS count FROM prompts WHERE status = 'processing' AND ${IS_STUCK}`;
const STUCK_IDS = `SELECT id FROM prompts WHERE status = 'processing' AND ${IS_STUCK} ORDER BY seq LIMIT ?1`;
const IS_WANTED = isFor({ named: '?1', unnamed: '?2' });
const NEXT_DUE = `
SELECT min(${LEASE_END_MS}) - ${NOW_MS} AS wait_ms FROM prompts WHERE status = 'processing' AND NOT ${IS_STUCK} AND ${IS_WANTED}`;
/** All are answered from the partial indexes: finished prompts are in none. */
const ANY_PENDING = `SELECT 1 FROM prompts WHERE status = 'pending' LIMIT 1`;
const ANY_OF_MODEL = `SELECT 1 FROM prompts WHERE status = 'pending' AND model IS ?1 LIMIT 1`;
const ANY_PROCESSING = `SELECT 1 FROM prompts WHERE status = 'processing' AND NOT ${IS_STUCK} AND ${IS_WANTED} LIMIT 1`;
const OTHERS = `
SELECT count(*) AS count FROM (SELECT 1 FROM prompts WHERE status = 'pending' AND NOT ${IS_WANTED} LIMIT ${MOST_OTHERS})`;

/** SQLite's largest and smallest. */
export const LAST_SEQ = 2n ** 63n - 1n;
export const FIRST_SEQ = -(2n ** 63n);

export const NO_COUNTS: QueueCounts = { pending: 0, processing: 0, stuck: 0, completed: 0, error: 0 };

/** Newest first. @throws `invalid_cursor` */
export function list(statements: Statements, options: ListOptions): readonly ListedJob[] {
  const { limit, after } = options;
  return listWindow(statements, options, {
    limit: Math.min(limit, LARGEST_PAGE),
    from: after === undefined ? LAST_SEQ : seqBefore(after),
    to: FIRST_SEQ,
  });
}

/** A part of the rows, from the newest to the oldest, both included. */
export interface ListWindow {
  readonly limit: number;
  readonly from: bigint;
  readonly to: bigint;
}

export function listWindow(
  statements: Statements,
  { status, tenant, model }: Pick<ListOptions, 'status' | 'tenant' | 'model'>,
  { limit, from, to }: ListWindow,
): readonly ListedJob[] {
  const { conditions, parameters } = conditionsOf({ status, tenant, model }, [limit, from, to]);
  return statements.each(`${LIST}${conditions} ORDER BY seq DESC LIMIT ?1`, parameters, toListed);
}

/** The oldest row of a window of so many rows, of the tenant or of all; undefined: the window is the rest. */
export function endOfWindow(
  statements: Statements,
  tenant: string | undefined,
  { from, size }: { readonly from: bigint; readonly size: number },
): bigint | undefined {
  const { conditions, parameters } = conditionsOf({ tenant }, [size - 1, from]);
  const row = statements.get(`${PLACE}${conditions} ORDER BY seq DESC LIMIT 1 OFFSET ?1`, ...parameters);
  return row === undefined ? undefined : BigInt(String(row['place']));
}

function conditionsOf(
  wanted: Readonly<Record<string, string | null | undefined>>,
  parameters: SQLInputValue[],
): { readonly conditions: string; readonly parameters: readonly SQLInputValue[] } {
  const conditions = Object.entries(wanted).map(([column, value]) => {
    if (value === undefined) return '';
    return value === null ? ` AND ${column} IS NULL` : ` AND ${column} = ?${parameters.push(value)}`;
  });
  return { conditions: conditions.join(''), parameters };
}

function toListed(row: Row): ListedJob {
  return { ...toSummary(row), cursor: cursorOf('sqlite', [row['place']]) };
}

/** @throws `invalid_cursor` */
export function seqBefore(cursor: string): bigint {
  const [place, ...others] = placeOf('sqlite', cursor);
  if (others.length > 0 || typeof place !== 'string' || !/^-?\d{1,19}$/.test(place) || BigInt(place) > LAST_SEQ)
    throw invalidCursor(cursor);
  return BigInt(place) - 1n;
}

export function show(statements: Statements, id: string): JobSummary | undefined {
  const row = statements.get(SHOW, id);
  return row === undefined ? undefined : toSummary(row);
}

export function follow(statements: Statements, ids: readonly string[]): ReadonlyMap<string, FollowedJob> {
  const found = new Map<string, FollowedJob>();
  for (const id of ids) {
    const summary = show(statements, id);
    if (summary !== undefined) found.set(id, { ...summary, ended: isEnded(summary.status) });
  }
  return found;
}

export function idsWithPrefix(statements: Statements, prefix: string, limit: number): readonly string[] {
  return statements.all(WITH_PREFIX, prefix, limit).map(({ id }) => String(id));
}

/** @param path where the queue is */
export function identify(statements: Statements, id: string, path: string): PromptIdentity | undefined {
  const row = statements.get(SHOW, id);
  return row === undefined ? undefined : identityOf(path, row);
}

export function counts(statements: Statements): QueueCounts {
  const found = Object.fromEntries(statements.all(COUNTS).map(({ status, count }) => [String(status), Number(count)]));
  const of = (status: JobStatus): number => own(found, status) ?? 0;
  const stuck = countStuck(statements);
  return {
    pending: of('pending'),
    processing: of('processing') - stuck,
    stuck,
    completed: of('completed'),
    error: of('error'),
  };
}

export function stuckIds(statements: Statements, limit: number): readonly string[] {
  return statements.all(STUCK_IDS, limit).map(({ id }) => String(id));
}

export const NO_JOBS: DrainState = { isDrained: true, refused: 0, stuck: 0 };

export function drainState(statements: Statements, models?: ModelSelection): DrainState {
  const parameters = parametersOf(models);
  const hasPending =
    models === undefined
      ? statements.get(ANY_PENDING) !== undefined
      : namesOf(models).some((model) => statements.get(ANY_OF_MODEL, model) !== undefined);
  const isDrained = !hasPending && statements.get(ANY_PROCESSING, ...parameters) === undefined;
  const state = { isDrained, refused: 0, stuck: countStuck(statements) };
  if (!isDrained || models === undefined) return state;
  return { ...state, others: Number(statements.get(OTHERS, ...parameters)?.['count']) };
}

export function msUntilNextDue(statements: Statements, models?: ModelSelection): number | undefined {
  const wait = statements.get(NEXT_DUE, ...parametersOf(models))?.['wait_ms'];
  return typeof wait === 'number' ? Math.max(0, wait) : undefined;
}

function countStuck(statements: Statements): number {
  return Number(statements.get(STUCK)?.['count']);
}

function toSummary(row: Row): JobSummary {
  const document = documentOf(row);
  return jobSummary({
    id: String(row['id']),
    status: row['status'],
    // A document that is none is shown as it lies there.
    text: document === undefined ? row['document'] : own(document, 'text'),
    priority: row['priority'],
    seed: row['seed'],
    imageUrls: jsonOf(row['image_urls']),
    error: row['error'],
    attempts: row['attempts'],
    progress: { step: row['progress_step'], steps: row['progress_steps'] },
    owner: row['owner'],
    leaseUntil: timeOf(row['lease_until_ms']),
    awaitsRetry: row['awaits_retry'] === 1,
    lastError: row['last_error'],
    parameters: jsonOf(row['parameters']),
    warnings: jsonOf(row['warnings']),
    enqueuedAt: timeOf(row['enqueued_ms']),
    finishedAt: timeOf(row['finished_ms']),
    request: document === undefined ? {} : promptFieldsOf(document),
    startedAt: timeOf(row['leased_ms']),
    worker: row['worker'],
    model: row['model'],
    tenant: row['tenant'],
    door: row['door'],
  });
}
