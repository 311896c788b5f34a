/** List, show, count: what operators see. */
import type { JobStatus, JobSummary, QueueCounts } from '../prompt-queue.ts';
import { type Database, NOW_MS, type Row } from './database.ts';

const LIST = `SELECT * FROM prompts WHERE ?1 IS NULL OR status = ?1 ORDER BY seq DESC LIMIT ?2`;
const SHOW = `SELECT * FROM prompts WHERE id = ?1`;
const COUNTS = `SELECT status, count(*) AS count FROM prompts GROUP BY status`;
const STUCK = `SELECT count(*) AS count FROM prompts WHERE status = 'processing' AND lease_until_ms IS NULL`;
const NEXT_DUE = `SELECT min(lease_until_ms) - ${NOW_MS} AS wait_ms FROM prompts WHERE status = 'processing'`;

/** Newest first. */
export function list(
  database: Database,
  options: { readonly status?: JobStatus; readonly limit: number },
): readonly JobSummary[] {
  return database.all(LIST, options.status ?? null, options.limit).map(toSummary);
}

export function show(database: Database, id: string): JobSummary | undefined {
  const row = database.get(SHOW, id);
  return row === undefined ? undefined : toSummary(row);
}

export function counts(database: Database): QueueCounts {
  const found = { pending: 0, processing: 0, completed: 0, error: 0 };
  for (const row of database.all(COUNTS)) found[row['status'] as JobStatus] = Number(row['count']);
  const stuck = Number(database.get(STUCK)?.['count']);
  return { ...found, processing: found.processing - stuck, stuck };
}

export function msUntilNextDue(database: Database): number | undefined {
  const wait = database.get(NEXT_DUE)?.['wait_ms'];
  return typeof wait === 'number' ? Math.max(0, wait) : undefined;
}

function toSummary(row: Row): JobSummary {
  const document = JSON.parse(String(row['document'])) as Row;
  const text = document['text'];
  const summary: Record<string, unknown> = {
    id: row['id'],
    status: row['status'],
    text: typeof text === 'string' ? text : JSON.stringify(text),
    priority: row['priority'],
    attempts: row['attempts'],
    progress: row['progress_steps'] === null ? null : { step: row['progress_step'], steps: row['progress_steps'] },
    owner: row['owner'],
    leaseUntil: dateOf(row['lease_until_ms']),
    imageUrls: parsed(row['image_urls']),
    seed: row['seed'],
    parameters: parsed(row['parameters']),
    warnings: parsed(row['warnings']),
    error: row['error'],
    enqueuedAt: dateOf(row['enqueued_ms']),
    finishedAt: dateOf(row['finished_ms']),
  };
  return Object.fromEntries(
    Object.entries(summary).filter(([, value]) => value !== null && value !== undefined),
  ) as unknown as JobSummary;
}

function dateOf(value: unknown): Date | null {
  return typeof value === 'number' ? new Date(value) : null;
}

function parsed(value: unknown): unknown {
  return typeof value === 'string' ? JSON.parse(value) : null;
}
