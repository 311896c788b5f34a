/** Retry: a finished document becomes pending as a new run. */
import type { Database } from './database.ts';

const RETRY = `
UPDATE prompts SET status = 'pending', resume = 0, attempts = 0, token = NULL, error = NULL, finished_ms = NULL
WHERE id = ?1 AND (status IN ('completed', 'error') OR (?2 AND status = 'processing' AND lease_until_ms IS NULL))`;

/** @param options with `force` also one that is `processing` without a lease that ends */
export function retry(database: Database, id: string, { force }: { readonly force: boolean }): boolean {
  return database.run(RETRY, id, force ? 1 : 0) === 1;
}
