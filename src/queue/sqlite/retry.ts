/** Retry: a finished document becomes pending as a new run. */
import type { Database } from './database.ts';

const RETRY = `
UPDATE prompts SET status = 'pending', resume = 0, attempts = 0, token = NULL, error = NULL, finished_ms = NULL
WHERE id = ?1 AND status IN ('completed', 'error')`;

export function retry(database: Database, id: string): boolean {
  return database.run(RETRY, id) === 1;
}
